"""What the columns of an import are, and what may stand in them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from redcap_dagster.emulator.design import Design, Field
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.names import checkbox_column, status_column, timestamp_column
from redcap_dagster.emulator.records.validation import (
    ValueRefusedError,
    checked_status,
    checked_tick,
    checked_value,
)

EVENT = "redcap_event_name"
INSTRUMENT = "redcap_repeat_instrument"
INSTANCE = "redcap_repeat_instance"
GROUP = "redcap_data_access_group"
SYSTEM_COLUMNS = (EVENT, INSTRUMENT, INSTANCE, GROUP, "redcap_survey_identifier")


@dataclass(frozen=True)
class ImportColumn:
    """One column of stored values.

    Attributes:
        name: Its name, which is the key of stored values.
        form: Instrument it belongs to.
        field: Its field, or None for a form status.
        is_choice: Whether it is one choice of a checkbox.
    """

    name: str
    form: str
    field: Field | None = None
    is_choice: bool = False

    @cached_property
    def is_calculated(self) -> bool:
        """Whether its values are computed, so that an import leaves them alone."""
        return self.field is not None and self.field.field_type == "calc"

    @cached_property
    def is_file(self) -> bool:
        """Whether its values are uploaded files."""
        return self.field is not None and self.field.field_type == "file"

    def checked(self, value: str, missing_codes: Collection[str], date_format: str) -> str:
        """Return a value that is not blank as it is stored.

        Raises:
            ValueRefusedError: It does not fit.
        """
        if self.is_choice:
            return checked_tick(self.name, value)
        if self.field is None:
            return checked_status(self.name, value)
        if self.is_file:
            raise ValueRefusedError(
                "This field is a File Upload field, whose files cannot be imported here."
            )
        if value in missing_codes:
            return value
        return checked_value(self.field, value, date_format)


def import_columns(design: Design) -> dict[str, ImportColumn]:
    """Return every column that holds stored values, by its name."""
    columns = {}
    for form in design.forms:
        name = status_column(form.name)
        columns[name] = ImportColumn(name, form.name)
    for entry in design.fields:
        if entry.field_type == "checkbox":
            for choice in design.checkbox_choices(entry):
                name = checkbox_column(entry.name, choice.code)
                columns[name] = ImportColumn(name, entry.form, entry, is_choice=True)
        elif entry.has_column:
            columns[entry.name] = ImportColumn(entry.name, entry.form, entry)
    return columns


def refuse_unknown(design: Design, names: Iterable[str], known: Collection[str]) -> None:
    """Refuse columns that the project does not have.

    Raises:
        RequestRefusedError: With the names, in REDCap's words.
    """
    stamps = {timestamp_column(form.name) for form in design.forms}
    unknown = [
        name for name in names if name not in known and name not in {*SYSTEM_COLUMNS, *stamps}
    ]
    if unknown:
        raise RequestRefusedError(
            "The following fields were not found in the project as real data fields: "
            + ", ".join(unknown)
        )
