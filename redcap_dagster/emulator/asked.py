"""What was asked of an emulator, for tests that count."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AskedRequest:
    """One request that was answered. Holds no token, record id or value.

    Attributes:
        content: The API method asked for.
        action: Its action, "" when none was sent.
        status: HTTP status of the answer; 0 when the connection was reset.
        columns: Number of columns of the answer, 0 when it was no list.
        rows: Number of rows of the answer, 0 when it was no list.
        records: How many record ids were asked for by name; None when all were.
        body_bytes: Length of the body.
        fault: The fault that struck it, "" for none; several are joined with `+`.
    """

    content: str
    action: str
    status: int
    columns: int = 0
    rows: int = 0
    records: int | None = None
    body_bytes: int = 0
    fault: str = ""

    @property
    def cells(self) -> int:
        """Rows times columns."""
        return self.rows * self.columns
