"""What no source settles about a server, as options with a default each."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How the server behaves where servers differ, or nobody wrote down how they do.

    Attributes:
        deidentified_drops_dates: Whether date and time columns are left out for a user whose
            export right is "de-identified". A validation suite shows them kept, a knowledge base
            says they go.
        hashes_record_ids: Whether the record id is hashed for a user without full export right
            on its instrument: `always`, only where the field is an `identifier`, or `never`.
        combined_checkbox_separator: What stands between the ticked choices of a checkbox field
            where `combineCheckboxOptions`, or a report, makes one column of them.
    """

    deidentified_drops_dates: bool = False
    hashes_record_ids: str = "identifier"
    combined_checkbox_separator: str = ","


DEFAULT_OPTIONS = ServerOptions()
