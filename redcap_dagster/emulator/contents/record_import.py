"""Record import: reads the parameters and the data, writes what fits, answers with a count."""

import json
import sqlite3
from collections.abc import Sequence
from xml.sax.saxutils import escape

from redcap_dagster.emulator.answers import XML_HEAD, Table, Text, csv_text
from redcap_dagster.emulator.contents.call import ODM, Call
from redcap_dagster.emulator.contents.odm_import import odm_lines
from redcap_dagster.emulator.contents.rights import require_right
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.incoming import csv_header, incoming_rows, text_rows
from redcap_dagster.emulator.records.calculated import Calculator
from redcap_dagster.emulator.records.changes import OpenRecord, RecordChanges
from redcap_dagster.emulator.records.import_rows import (
    ImportReader,
    ImportRow,
    flat_lines,
    problem_line,
)
from redcap_dagster.emulator.records.naming import name_prefix, next_number

_RETURNED = ("count", "ids", "auto_ids", "nothing")


def import_records(call: Call) -> Text:
    """Write records, all of them or, when one value does not fit, none.

    Raises:
        RequestRefusedError: A parameter, column or value does not fit.
    """
    parameters = call.parameters
    date_format = _one_of(call, "dateFormat", ("ymd", "mdy", "dmy")).upper()
    overwrite = _one_of(call, "overwriteBehavior", ("normal", "overwrite")) == "overwrite"
    returned = _one_of(call, "returnContent", _RETURNED)
    is_eav = _one_of(call, "type", ("flat", "eav")) == "eav"
    numbered = parameters.flag("forceAutoNumber")
    if returned == "auto_ids" and not numbered:
        raise RequestRefusedError("returnContent=auto_ids needs forceAutoNumber=true")
    reader = ImportReader(call.design, date_format, call.user.data_access_group)
    rows = reader.read(_lines(call, is_eav=is_eav), () if is_eav else _header(call))
    with call.store.writing() as connection:
        names = _Import(call, connection, overwrite=overwrite).write(rows, numbered=numbered)
    if parameters.flag("backgroundProcess"):
        return _answer(call, {"json": '{"success":true}', "csv": "success\n1\n"}, "success", "true")
    return _returned(call, returned, names)


def _lines(call: Call, *, is_eav: bool) -> list[dict[str, str]]:
    """Return the flat lines of what was sent; ODM is flat whatever `type` says."""
    if call.body_format == ODM:
        return odm_lines(call)
    data = call.parameters.text("data")
    lines = text_rows(incoming_rows(data, call.body_format, call.delimiter, lone_object=False))
    return flat_lines(lines, call.design.record_id_field) if is_eav else lines


def _header(call: Call) -> list[str]:
    """Return the names above the rows of a csv, which may have none below them."""
    if call.body_format != "csv":
        return []
    return csv_header(call.parameters.text("data"), call.delimiter)


class _Import:
    """One import inside its transaction."""

    def __init__(self, call: Call, connection: sqlite3.Connection, *, overwrite: bool) -> None:
        self._call = call
        self._connection = connection
        self._overwrite = overwrite
        self._changes = RecordChanges(connection, call.store.audit_log, call.design, call.user)
        self._open: dict[str, OpenRecord] = {}

    def write(self, rows: Sequence[ImportRow], *, numbered: bool) -> dict[str, str]:
        """Write the rows and return each record's name with the name it was given in the data."""
        given = dict.fromkeys(row.record_id for row in rows)
        names = self._new_names(list(given)) if numbered else dict(zip(given, given, strict=True))
        for row in rows:
            self._write_row(row, self._record(names[row.record_id]))
        calculator = Calculator(
            self._call.design, self._call.user.project_id, self._call.store.audit_log.clock()
        )
        for record in self._open.values():
            calculator.recalculate(self._changes, record)
            self._changes.store(record)
        return {new: old for old, new in names.items()}

    def _new_names(self, given: Sequence[str]) -> dict[str, str]:
        prefix = name_prefix(self._call.design, self._call.user)
        first = next_number(self._connection, self._call.user.project_id, prefix)
        return {name: f"{prefix}{first + position}" for position, name in enumerate(given)}

    def _record(self, record_id: str) -> OpenRecord:
        record = self._open.get(record_id) or self._changes.find(record_id)
        own_group = self._call.user.data_access_group
        if record is None:
            require_right(self._call, "record_create")
            record = self._changes.create(record_id, own_group)
        elif own_group and record.group != own_group:
            id_field = self._call.design.record_id_field
            text = "This record does not belong to your Data Access Group."
            raise RequestRefusedError(problem_line(record_id, id_field, record_id, text))
        self._open[record_id] = record
        return record

    def _write_row(self, row: ImportRow, record: OpenRecord) -> None:
        values = {column: value for column, value in row.values.items() if value or self._overwrite}
        instance = row.instance
        if instance is None:
            instance = record.next_instance(row.event, row.instrument)
        # The record id alone makes a base row; an instance without a value is none.
        if values or not instance:
            self._changes.set_values(record, (row.event, row.instrument, instance), values)
        if row.group is not None and (row.group or self._overwrite):
            self._changes.set_group(record, row.group)


def _returned(call: Call, returned: str, names: dict[str, str]) -> Text:
    if returned == "nothing":
        return Text("", call.return_format)
    if returned == "count":
        count = str(len(names))
        return _answer(call, {"json": f'{{"count": {count}}}', "csv": count}, "count", count)
    listed = [f"{new},{old}" if returned == "auto_ids" else new for new, old in names.items()]
    csv = csv_text(Table(["id"], [[name] for name in listed]))
    body = json.dumps(listed, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
    inner = "".join(f"<id>{escape(name)}</id>" for name in listed)
    if call.return_format == "xml":
        return Text(f"{XML_HEAD}\n<ids>{inner}</ids>", "xml")
    return Text(body if call.return_format == "json" else csv, call.return_format)


def _answer(call: Call, bodies: dict[str, str], tag: str, value: str) -> Text:
    xml = f"{XML_HEAD}<{tag}>{value}</{tag}>"
    return Text(bodies.get(call.return_format, xml), call.return_format)


def _one_of(call: Call, name: str, allowed: Sequence[str]) -> str:
    """Return a parameter that is one of a few words; the first when it is left out."""
    word = call.parameters.word(name, allowed[0])
    if word not in allowed:
        raise RequestRefusedError(f'The value of the parameter "{name}" is not valid')
    return word
