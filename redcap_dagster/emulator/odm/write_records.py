"""Writes the `ClinicalData` part of a project XML: record by record, row by row."""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.names import checkbox_column
from redcap_dagster.emulator.odm.markup import escaped, tag
from redcap_dagster.emulator.odm.rows import IDENTIFIER_COLUMN
from redcap_dagster.emulator.odm.write_study import (
    GROUP_ITEM,
    ItemGroup,
    item_groups,
    metadata_id,
    study_slug,
)
from redcap_dagster.emulator.records.columns import Column
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.emulator.records.stored import applying_forms

_BASE64_BYTES = 3


class WrittenFile(NamedTuple):
    """A file that goes into the XML; `pieces` is None where its name alone does."""

    name: str
    mime_type: str
    pieces: Iterable[bytes] | None


FindFile = Callable[[str], WrittenFile | None]


class RecordWriter:
    """Writes the records of one export.

    Args:
        design: The project's design.
        columns: The value columns to write.
        find_file: Returns the file of a number that stands in a file field, or None.
        groups: Whether data access groups are written.
        surveys: Whether survey identifiers are written.
    """

    def __init__(
        self,
        design: Design,
        columns: Sequence[Column],
        find_file: FindFile,
        *,
        groups: bool,
        surveys: bool,
    ) -> None:
        self._design = design
        self._columns = {column.name: column for column in columns if column.kind == "value"}
        self._find_file = find_file
        self._groups = groups
        self._surveys = surveys
        self._item_groups: dict[str, tuple[ItemGroup, ...]] = {
            form.name: item_groups(design, form.name, groups=groups, surveys=surveys)
            for form in design.forms
        }
        self._first_form = design.forms[0].name

    def lines(self, records: Iterable[Sequence[StoredRow]], written_at: str) -> Iterator[str]:
        """Yield the lines of the `ClinicalData` element.

        Args:
            records: The rows of each record.
            written_at: Server time, `YYYY-MM-DD HH:MM:SS`.
        """
        slug = study_slug(self._design.settings.title)
        named = {"StudyOID": f"Project.{slug}"}
        named["MetaDataVersionOID"] = metadata_id(self._design, written_at)
        yield tag("ClinicalData", named)
        for rows in records:
            if rows:
                subject = {"SubjectKey": rows[0].record_id}
                subject["redcap:RecordIdField"] = self._design.record_id_field
                yield tag("SubjectData", subject)
                for row in rows:
                    yield from self._row(row)
                yield "</SubjectData>"
        yield "</ClinicalData>"

    def _row(self, row: StoredRow) -> Iterator[str]:
        filled = {column.form for name, column in self._columns.items() if row.cells.get(name, "")}
        forms = self._forms_to_write(row, filled)
        if not forms:
            return
        if row.event:
            event = {
                "StudyEventOID": f"Event.{row.event}",
                "StudyEventRepeatKey": row.instance if row.instance and not row.instrument else 1,
                "redcap:UniqueEventName": row.event,
            }
            yield tag("StudyEventData", event)
        for position, form in enumerate(forms):
            key = row.instance if row.instrument else 1
            yield tag("FormData", {"FormOID": f"Form.{form}", "FormRepeatKey": key})
            about_record = self._about_record(row) if position == 0 else []
            yield from self._form(row, form, about_record, is_filled=form in filled)
            yield "</FormData>"
        if row.event:
            yield "</StudyEventData>"

    def _forms_to_write(self, row: StoredRow, filled: set[str]) -> list[str]:
        """Return the forms with data; where there is none, one that keeps the row."""
        if row.instrument:
            return [row.instrument]
        applying = applying_forms(self._design, row)
        forms = [form.name for form in self._design.forms if form.name in applying & filled]
        if self._first_form in applying and self._first_form not in forms:
            forms.insert(0, self._first_form)
        if not forms and applying:
            forms = [form.name for form in self._design.forms if form.name in applying][:1]
        if not forms and not self._design.repeats_as_form(row.event, self._first_form):
            forms = [self._first_form]
        return forms

    def _form(
        self, row: StoredRow, form: str, about_record: list[str], *, is_filled: bool
    ) -> Iterator[str]:
        for position, group in enumerate(self._item_groups[form]):
            lines = [
                line for item in group.items for line in self._item(row, item, is_filled=is_filled)
            ]
            if position == 0:
                lines += about_record
                lines += self._missing_code_items(row, form)
            if lines:
                named = {"ItemGroupOID": f"{form}.{group.first}", "ItemGroupRepeatKey": 1}
                yield tag("ItemGroupData", named)
                yield from lines
                yield "</ItemGroupData>"

    def _about_record(self, row: StoredRow) -> list[str]:
        lines = []
        if self._groups and row.group:
            lines.append(_item_data(GROUP_ITEM, row.group))
        identifier = row.cells.get(IDENTIFIER_COLUMN, "")
        if self._surveys and identifier:
            lines.append(_item_data(IDENTIFIER_COLUMN, identifier))
        return lines

    def _item(self, row: StoredRow, item: str, *, is_filled: bool) -> Iterator[str]:
        if item == self._design.record_id_field:
            yield _item_data(item, row.record_id)
            return
        column = self._columns.get(item)
        if column is None:
            return
        value = row.cells.get(item, "")
        if column.choice is not None:
            # An unticked box is written where its form has any data, as REDCap does.
            if is_filled:
                yield _item_data(item, value or "0")
        elif value:
            yield from self._value(column, item, value)

    def _value(self, column: Column, item: str, value: str) -> Iterator[str]:
        entry = column.field
        if entry is not None and entry.field_type == "file":
            file = self._find_file(value)
            if file is None:
                yield _item_data(item, value)
            elif file.pieces is None:
                yield _item_data(item, file.name)
            else:
                yield from _binary(item, file.name, file.mime_type, file.pieces)
            return
        if entry is not None and entry.validation.startswith("datetime"):
            value = value.replace(" ", "T", 1)
        yield _item_data(item, value)

    def _missing_code_items(self, row: StoredRow, form: str) -> list[str]:
        return [
            _item_data(name, "1")
            for entry in self._design.fields_by_form[form]
            if entry.field_type == "checkbox"
            for code in self._design.missing_codes
            if (name := checkbox_column(entry.name, code.code)) in self._columns
            and row.cells.get(name, "")
        ]


def _item_data(item: str, value: str) -> str:
    return f'<ItemData ItemOID="{item}" Value="{escaped(value)}"/>'


def _binary(item: str, name: str, mime_type: str, pieces: Iterable[bytes]) -> Iterator[str]:
    attributes = {"ItemOID": item, "redcap:DocName": name, "redcap:MimeType": mime_type}
    # Lines are ended one by one by whoever writes them, which base64 survives.
    yield f"{tag('ItemDataBase64Binary', attributes)}<![CDATA["
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = len(data) - len(data) % _BASE64_BYTES
        yield base64.b64encode(data[:whole]).decode("ascii")
        rest = data[whole:]
    yield f"{base64.b64encode(rest).decode('ascii')}]]></ItemDataBase64Binary>"
