"""Every exception this package raises, in one tree.

Drawn here so that a caller can see at a glance what to catch::

    RedcapDagsterError
    ├── ConfigError (also ValueError)   a URL, token or option that cannot work
    │   └── UnknownRecordsError         .places; records asked for by id are not there
    ├── ApiError                        .content .status .reason .retryable .attempts .retry_after_s
    │   ├── TransportError              no whole answer: connect, timeout, cut off      retryable
    │   ├── ServerError                 5xx, or a page where data should be             retryable
    │   ├── RateLimitedError            the server asked for fewer requests             retryable
    │   ├── AddressBannedError          this machine is banned: stop, ask the administrator
    │   ├── ApiTokenError               the token is wrong, revoked, or may not use the API
    │   ├── RequestRejectedError        REDCap refused the request; .server_message
    │   │   └── ImportRejectedError     REDCap refused the data of an import; .findings
    │   └── AnswerError                 an answer that cannot be believed               retryable
    ├── DesignError                     .instrument .field; the study's design contradicts itself
    │   ├── SnapshotError               a snapshot file that cannot be read
    │   └── ProjectMismatchError        a snapshot of one project used against another
    ├── LogicError                      .source .start .end .line .column; str() draws a caret
    │   ├── LogicSyntaxError            the text is not REDCap logic
    │   ├── LogicNameError              it names a field, event or function that is not there
    │   ├── LogicTypeError              a function or operator was given what it cannot take
    │   └── LogicUnsupportedError       logic that may work in REDCap, which we refuse to guess
    ├── ExportError                     .retryable; an extract that could not be completed
    └── TableError                      tables that could not be built or published
        ├── ConservationError           a cell of the export is in no table
        └── DestinationError            .retryable; tables that could not be loaded into a database

No message, attribute shown by `repr`, or chained traceback of these carries an API token, a value
or a record id: they carry counts and the names of contents, instruments, fields and rules.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from typing_extensions import Required, TypedDict, Unpack

_LONGEST_CONTEXT = 60
_MOST_PLACES_SHOWN = 10


def name_some(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """Names for a message: the first so many, and how many more there are.

    Examples:
        >>> name_some(["age", "sex", "bmi"], 2)
        'age, sex and 1 more'
        >>> name_some(["age", "sex"], 2)
        'age, sex'
    """
    more = len(names) - most
    return separator.join(names[:most]) + (f" and {more} more" if more > 0 else "")


class RedcapDagsterError(Exception):
    """Base of everything this package raises on purpose.

    It pickles, so that it comes out of another process as it is, but for what may hold values.
    """

    _stays_behind: ClassVar[Mapping[str, Any]] = {}
    """Attributes that may hold values, and what stands for them in a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the constructors, whose keywords pickle would not give.
        return _made_again, (type(self), self.args, {**vars(self), **self._stays_behind})


def _made_again(
    kind: type[RedcapDagsterError], args: tuple[Any, ...], attributes: Mapping[str, Any]
) -> RedcapDagsterError:
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


class ConfigError(RedcapDagsterError, ValueError):
    """A URL, token or option that cannot work, found before anything was sent."""


class UnknownRecordsError(ConfigError):
    """Records that were asked for by their ids are not there.

    Attributes:
        places: Which of those asked for, counted from 1.
    """

    def __init__(self, places: Sequence[int], asked: int, counted: str) -> None:
        shown = name_some([str(place) for place in places], _MOST_PLACES_SHOWN)
        super().__init__(
            f"{len(places)} of the {asked} records asked for are not in the study, or the token "
            f"cannot see them: {counted} {shown}."
        )
        self.places = tuple(places)


class Circumstances(TypedDict, total=False):
    """What an `ApiError` is made with, beside its message."""

    content: Required[str]
    status: int | None
    reason: str
    retryable: bool | None
    attempts: int
    retry_after_s: float | None


class ApiError(RedcapDagsterError):
    """A call to REDCap's API failed.

    Attributes:
        content: REDCap's name of the API method (`record`, `metadata`, …).
        status: HTTP status, or None when no answer came.
        reason: Short stable name of what went wrong (`read_timeout`, `out_of_memory`, …), for code
            that reacts to it; `redcap_dagster.api.failure` lists them.
        retryable: Whether the same request may succeed when sent again.
        attempts: How many times the request was sent before giving up.
        retry_after_s: Seconds the server asked to wait, or None when it did not say.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        content: str,
        status: int | None = None,
        reason: str = "",
        retryable: bool | None = None,
        attempts: int = 1,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.content = content
        self.status = status
        self.reason = reason
        if retryable is not None:
            self.retryable = retryable
        self.attempts = attempts
        self.retry_after_s = retry_after_s


class TransportError(ApiError):
    """No whole answer came: the connection failed, timed out or was cut off."""

    retryable = True


class ServerError(ApiError):
    """The server failed (5xx), or sent a page where data should be."""

    retryable = True


class RateLimitedError(ApiError):
    """The server asked for fewer requests (429)."""

    retryable = True


class AddressBannedError(ApiError):
    """The server has banned this address for asking too often. Sending more makes it worse."""


class ApiTokenError(ApiError):
    """The API token is wrong, revoked, or its user may not use the API."""


class RequestRejectedError(ApiError):
    """REDCap understood the request and refused it.

    Attributes:
        server_message: REDCap's own text. It can hold values and record ids: it is for the
            caller's eyes, and is kept out of `str()` unless it is known to hold names only, and
            out of pickles.
    """

    _stays_behind: ClassVar[Mapping[str, Any]] = {"server_message": ""}

    def __init__(
        self, message: str, *, server_message: str = "", **circumstances: Unpack[Circumstances]
    ) -> None:
        super().__init__(message, **circumstances)
        self.server_message = server_message


class ImportRejectedError(RequestRejectedError):
    """REDCap refused the data of an import; it took none of them.

    Attributes:
        findings: What it found, most frequent first; `redcap_dagster.api.ImportFinding`.
    """

    def __init__(
        self,
        message: str,
        *,
        server_message: str = "",
        findings: Sequence[Any] = (),
        **circumstances: Unpack[Circumstances],
    ) -> None:
        super().__init__(message, server_message=server_message, **circumstances)
        self.findings = tuple(findings)


class AnswerError(ApiError):
    """An answer came with a good status, but cannot be believed (cut short, wrong columns, …)."""

    retryable = True


class DesignError(RedcapDagsterError):
    """The study's design contradicts itself or cannot be read.

    Attributes:
        instrument: Name of the instrument concerned, or "".
        field: Name of the field concerned, or "".
    """

    def __init__(self, message: str, *, instrument: str = "", field: str = "") -> None:
        super().__init__(message)
        self.instrument = instrument
        self.field = field


class SnapshotError(DesignError):
    """A snapshot file is missing, truncated, or of a kind this version cannot read."""


class ProjectMismatchError(DesignError):
    """A snapshot of one project is used with the API token of another."""


class LogicError(RedcapDagsterError):
    """A branching logic, calculation, filter or rule that cannot be used, and the place in it.

    `str()` names the line and column and draws the line with a caret below the place. The text
    drawn is the designer's; it holds no value of a participant.

    Attributes:
        reason: What is wrong and what to do, without the place.
        source: The whole text of the logic.
        start: Offset of the first character concerned, from 0.
        end: Offset after the last character concerned.
        line: Line of `start`, from 1.
        column: Column of `start` in its line, from 1.
    """

    def __init__(self, reason: str, *, source: str, start: int, end: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.source = source
        self.start = start
        self.end = end
        self.line = source.count("\n", 0, start) + 1
        self.column = start - (source.rfind("\n", 0, start) + 1) + 1

    def __str__(self) -> str:
        lines = self.source.split("\n")
        line = lines[self.line - 1].rstrip("\r")
        before = line[: self.column - 1]
        if len(before) > _LONGEST_CONTEXT:
            before = "…" + before[-_LONGEST_CONTEXT:]
        text = before + line[self.column - 1 :][: 2 * _LONGEST_CONTEXT]
        # Tabs are kept, so that the caret stands below its character however wide they are.
        indent = "".join(sign if sign == "\t" else " " for sign in before)
        width = max(1, min(self.end - self.start, len(text) - len(before)))
        place = f"line {self.line}, column {self.column}"
        return f"{self.reason} ({place})\n    {text}\n    {indent}{'^' * width}"


class LogicSyntaxError(LogicError):
    """The text is not REDCap logic."""


class LogicNameError(LogicError):
    """The logic names a field, event, choice or function that the study does not have."""


class LogicTypeError(LogicError):
    """A function or operator was given something that it cannot take."""


class LogicUnsupportedError(LogicError):
    """Logic that may work in REDCap but is not supported, or whose meaning is not certain."""


class ExportError(RedcapDagsterError):
    """An extract could not be completed; what readers see is unchanged.

    Attributes:
        retryable: Whether the same extract may succeed when it is run again.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class TableError(RedcapDagsterError):
    """Tables could not be built or published; what readers see is unchanged."""


class ConservationError(TableError):
    """Non-blank cells of the export are in no table and not listed as rejected."""


class DestinationError(TableError):
    """Tables could not be loaded into a database, which is as it was.

    Attributes:
        retryable: Whether the same load may succeed later: nobody answered, a lock was held, or
            another extract has to be made or loaded first.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
