"""What one record export asks for, after its parameters were read and judged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.emulator.records.visible import NOTHING_HIDDEN, Hidden


class KeepsRows(Protocol):
    """Keeps some rows of each record."""

    def kept(self, records: Iterator[Sequence[StoredRow]]) -> Iterator[list[StoredRow]]:
        """Yield of each record the rows that are kept."""


@dataclass(frozen=True)
class RecordRequest:
    """One record export.

    Attributes:
        records: Record ids asked for; None is all.
        fields: Field names asked for, form status fields among them; empty together with `forms`
            is everything.
        forms: Instrument names asked for.
        events: Unique event names asked for; None is all.
        labels: Whether cells hold labels instead of codes.
        label_headers: Whether the header holds labels instead of names.
        combined_checkboxes: What stands between the ticked choices where a checkbox field is one
            column, or "" where each choice has its column.
        checkbox_labels: Whether a ticked checkbox shows its choice's label (`labels` only).
        survey_fields: Whether the survey identifier and time stamps are wanted.
        groups: Whether the data access group is wanted and may be shown.
        group: Unique name of the only group the user may see, or "".
        blank_gray_status: Whether the status of a form that was never saved is blank.
        decimal_character: Decimal sign of numbers, or "" to leave them as stored.
        changed_from: First moment a record may have changed at, or "".
        changed_to: Last moment, or "".
        hidden: What the user's rights leave out.
        row_filter: What `filterLogic` asks for, or None.
    """

    records: tuple[str, ...] | None = None
    fields: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()
    events: frozenset[str] | None = None
    labels: bool = False
    label_headers: bool = False
    combined_checkboxes: str = ""
    checkbox_labels: bool = False
    survey_fields: bool = False
    groups: bool = False
    group: str = ""
    blank_gray_status: bool = False
    decimal_character: str = ""
    changed_from: str = ""
    changed_to: str = ""
    hidden: Hidden = NOTHING_HIDDEN
    row_filter: KeepsRows | None = None

    @property
    def asks_everything(self) -> bool:
        """Whether neither fields nor instruments were named."""
        return not self.fields and not self.forms

    def asks_field(self, name: str, form: str) -> bool:
        """Whether a field is asked for, by its name or with its instrument."""
        return self.asks_everything or name in self.fields or form in self.forms
