"""From the lines of an import to rows that are known to fit: where they belong, what they set."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.records.cells import full_event_label
from redcap_dagster.emulator.records.import_columns import (
    EVENT,
    GROUP,
    INSTANCE,
    INSTRUMENT,
    ImportColumn,
    import_columns,
    refuse_unknown,
)
from redcap_dagster.emulator.records.validation import ValueRefusedError

NEW_INSTANCE = "new"
_MAX_ID_LENGTH = 100
_BAD_INSTRUMENT = (
    "redcap_repeat_instrument must be the unique form name of a Repeating Instrument. It "
    "currently does not match the unique form name of any Repeating Instruments.  Please fix this "
    "in the data import file and try again."
)
_NOT_REPEATING = (
    "redcap_repeat_instance cannot have a value since this instrument or event is not a repeating "
    "instrument or repeating event, respectively.  The redcap_repeat_instance field must be left "
    "blank for this row of data."
)


@dataclass(frozen=True)
class ImportRow:
    """One row to be written.

    Attributes:
        record_id: Its record.
        event: Unique event name, "" in a classic project.
        instrument: The repeating instrument, or "".
        instance: Instance number, 0 on a base row, None for the next free number.
        group: Group to put the record into, "" for none, None to leave it where it is.
        values: Column → value as stored; "" is blank.
    """

    record_id: str
    event: str
    instrument: str
    instance: int | None
    group: str | None
    values: Mapping[str, str] = field(repr=False)


class ImportReader:
    """Judges the lines of one import; all that is wrong is told at once.

    Args:
        design: The project's design.
        date_format: `YMD`, `MDY` or `DMY`.
        user_group: Group the user sits in, or "".
    """

    def __init__(self, design: Design, date_format: str, user_group: str) -> None:
        self._design = design
        self._date_format = date_format
        self._user_group = user_group
        self._columns = import_columns(design)
        self._missing_codes = {code.code for code in design.missing_codes}
        self._groups = {group.unique_name for group in design.groups}
        self._problems: list[str] = []

    def read(
        self, lines: Sequence[Mapping[str, str]], header: Sequence[str] = ()
    ) -> list[ImportRow]:
        """Return the rows of flat lines.

        Args:
            lines: The lines, by column name.
            header: Names that stand above the lines, where there is a line of names.

        Raises:
            RequestRefusedError: A column or value does not fit; one line of the message each.
        """
        names = dict.fromkeys([*header, *(name for line in lines for name in line)])
        refuse_unknown(self._design, names, self._columns)
        for line in (*([header] if header else []), *lines):
            self._require_record_id(line)
        if self._user_group and GROUP in names:
            raise RequestRefusedError("Illegal use of 'redcap_data_access_group' field!")
        rows = [self._row(line) for line in lines]
        if self._problems:
            raise RequestRefusedError("\n".join(dict.fromkeys(self._problems)))
        return rows

    def _require_record_id(self, names: Iterable[str]) -> None:
        id_field = self._design.record_id_field
        place = list(names).index(id_field) if id_field in names else None
        if place:
            raise RequestRefusedError(
                f"The data being imported must begin with the record ID field '{id_field}'."
            )
        if place is None:
            raise RequestRefusedError(
                f"The data being imported must hold the record ID field '{id_field}'."
            )

    def _row(self, line: Mapping[str, str]) -> ImportRow:
        record_id = line[self._design.record_id_field].strip()
        self._check_id(record_id)
        event = self._event(line, record_id)
        instrument, instance = self._repeat(line, record_id, event)
        own_forms = self._own_forms(event, instrument)
        values = {}
        for column, value in self._taken_cells(line, own_forms):
            misplaced = (
                "" if column.form in own_forms else self._misplaced(event, instrument, column)
            )
            if misplaced:
                self._problem(record_id, column.name, value, misplaced)
            elif value:
                values[column.name] = self._checked(record_id, column, value)
            else:
                values[column.name] = ""
        return ImportRow(record_id, event, instrument, instance, self._group(line), values)

    def _taken_cells(
        self, line: Mapping[str, str], own_forms: frozenset[str]
    ) -> Iterator[tuple[ImportColumn, str]]:
        """Yield what a line sets; a blank counts only where the column's form has its place."""
        for name, value in line.items():
            column = self._columns.get(name)
            if column is None or column.is_calculated or name == self._design.record_id_field:
                continue
            if value or (column.form in own_forms and not column.is_file):
                yield column, value

    def _own_forms(self, event: str, instrument: str) -> frozenset[str]:
        if instrument:
            return frozenset({instrument})
        if event not in self._design.event_order:
            return frozenset()
        forms = self._design.forms_of_event(event)
        return frozenset(form for form in forms if not self._design.repeats_as_form(event, form))

    def _check_id(self, record_id: str) -> None:
        id_field = self._columns[self._design.record_id_field]
        if not record_id:
            self._problem("", id_field.name, "", "The record ID field may not be blank.")
            return
        if len(record_id) > _MAX_ID_LENGTH:
            text = "The record ID may not be longer than 100 characters."
            self._problem(record_id, id_field.name, record_id, text)
        self._checked(record_id, id_field, record_id)

    def _event(self, line: Mapping[str, str], record_id: str) -> str:
        if not self._design.is_longitudinal:
            return ""
        event = line.get(EVENT, "").strip() or next(iter(self._design.event_order), "")
        if event not in self._design.event_order:
            text = "This is not the unique name of an event of the project."
            self._problem(record_id, EVENT, event, text)
        return event

    def _repeat(
        self, line: Mapping[str, str], record_id: str, event: str
    ) -> tuple[str, int | None]:
        instrument, number = line.get(INSTRUMENT, "").strip(), line.get(INSTANCE, "").strip()
        if instrument and not self._design.repeats_as_form(event, instrument):
            self._problem(record_id, INSTRUMENT, instrument, _BAD_INSTRUMENT)
            return "", 0
        if not instrument and not self._design.repeats_as_event(event):
            if number:
                self._problem(record_id, INSTANCE, number, _NOT_REPEATING)
            return "", 0
        if number.lower() == NEW_INSTANCE:
            return instrument, None
        if number.isascii() and number.isdigit() and int(number):
            return instrument, int(number)
        if number:
            text = "redcap_repeat_instance must be a whole number above 0, or new."
            self._problem(record_id, INSTANCE, number, text)
            return instrument, 1
        # A repeating event without a number means its first occurrence.
        return ("", 0) if instrument else ("", 1)

    def _misplaced(self, event: str, instrument: str, column: ImportColumn) -> str:
        name = column.field.name if column.field else column.name
        if event not in self._design.event_order:
            return ""
        if column.form not in self._design.forms_of_event(event):
            place = full_event_label(self._design, event)
            return (
                f"This field ('{name}') exists on an instrument that is not designated for the "
                f"event named '{place}'. You are not allowed to import data for this field into "
                "this event."
            )
        if not instrument and self._design.repeats_as_form(event, column.form):
            return (
                f"This field ('{name}') exists on a Repeating Instrument named '{column.form}'. "
                "However, the fields 'redcap_repeat_instance' and/or 'redcap_repeat_instrument' "
                "for this row of data have no value, which are both required for importing data "
                "into a Repeating Instrument.  You are not allowed to import data for this field "
                "into a non-repeating instrument."
            )
        if instrument and column.form != instrument:
            return (
                f"This field ('{name}') does not exist on the Repeating Instrument named "
                f"'{instrument}'. You are not allowed to import data for this field into it."
            )
        return ""

    def _checked(self, record_id: str, column: ImportColumn, value: str) -> str:
        try:
            return column.checked(value, self._missing_codes, self._date_format)
        except ValueRefusedError as refused:
            self._problem(record_id, column.name, value, str(refused))
            return ""

    def _group(self, line: Mapping[str, str]) -> str | None:
        if GROUP not in line:
            return None
        group = line[GROUP].strip()
        if group and group not in self._groups:
            text = "This is not the unique name of a Data Access Group of the project."
            self._problem(line[self._design.record_id_field], GROUP, group, text)
        return group

    def _problem(self, record_id: str, name: str, value: str, text: str) -> None:
        self._problems.append(problem_line(record_id, name, value, text))


def problem_line(record_id: str, name: str, value: str, text: str) -> str:
    """Return one line of what is wrong, as REDCap lists it."""
    return ",".join('"' + part.replace('"', '""') + '"' for part in (record_id, name, value, text))


def flat_lines(lines: Iterable[Mapping[str, str]], id_field: str) -> list[dict[str, str]]:
    """Gather the lines of an import with one line a value into flat lines, one a place.

    Raises:
        RequestRefusedError: A line does not say which record, field or instance it is of.
    """
    gathered: dict[tuple[str, ...], dict[str, str]] = {}
    for line in lines:
        missing = [name for name in ("record", "field_name", "value") if name not in line]
        if missing:
            raise RequestRefusedError(
                f"The data being imported must hold the columns {', '.join(missing)}."
            )
        if line.get(INSTANCE, "").strip().lower() == NEW_INSTANCE:
            raise RequestRefusedError(
                "redcap_repeat_instance can be 'new' only where type is flat."
            )
        place = {name: line[name] for name in (EVENT, INSTRUMENT, INSTANCE) if name in line}
        flat = gathered.setdefault(
            (line["record"], *place.values()), {id_field: line["record"], **place}
        )
        if line["field_name"] != id_field:
            flat[line["field_name"]] = line["value"]
    return list(gathered.values())
