"""What can go wrong in the emulator: its own mistakes apart from REDCap's refusals."""


class EmulatorError(Exception):
    """The emulator cannot do what its user asked: a bad file, an unknown group, a port in use."""


class ProjectFileError(EmulatorError, ValueError):
    """A file that is not a REDCap project XML the emulator can load; the message says why."""


class RequestRefusedError(Exception):
    """An API request that REDCap answers with an error body.

    Attributes:
        status: HTTP status.
        message: The text inside the error body, as REDCap words it where the wording is known.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
