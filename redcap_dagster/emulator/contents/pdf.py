"""A PDF of instruments, blank or with the data of records."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from redcap_dagster.emulator.answers import File
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.change import MANAGE
from redcap_dagster.emulator.contents.place import asked_event, asked_instance, asked_record
from redcap_dagster.emulator.contents.record_request import read_request
from redcap_dagster.emulator.contents.records import flat_export
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.odm.write_study import study_slug
from redcap_dagster.emulator.paper import iter_pdf
from redcap_dagster.emulator.records.columns import Column, plan_columns
from redcap_dagster.emulator.records.flat import Cell
from redcap_dagster.emulator.records.request import RecordRequest
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.emulator.records.stored import applying_forms, iter_stored

_TAG = re.compile(r"<[^>]*>")
_BLANK = "______________________"


def export_pdf(call: Call) -> File:
    """Return a PDF of one or all instruments: blank, of one record, or of all of them."""
    parameters = call.parameters
    instrument = parameters.text("instrument").strip()
    if instrument and instrument not in call.design.form_order:
        raise RequestRefusedError(f"The instrument '{instrument}' does not exist in this project")
    request = replace(
        read_request(call),
        labels=True,
        checkbox_labels=True,
        forms=frozenset({instrument} if instrument else call.design.form_order),
        fields=frozenset({call.design.record_id_field}),
        events=None,
    )
    if "allRecords" in parameters:
        lines = _iter_data(call, replace(request, forms=frozenset(call.design.form_order)))
        _tell(call, "PDF Export with data")
    elif "record" in parameters:
        record_id = asked_record(call)
        if call.design.is_longitudinal and "event" in parameters:
            form = instrument or next(iter(_forms_of_asked_event(call)), "")
            request = replace(request, events=frozenset({asked_event(call, form)}))
        lines = _iter_data(call, replace(request, records=(record_id,)), _asked_place(call))
        _tell(call, "PDF Export with data Record", record_id)
    else:
        lines = _iter_blank(call, request)
        _tell(call, MANAGE, details="Download PDF of instruments (API)")
    title = call.design.settings.title
    day = call.store.audit_log.now().partition(" ")[0]
    name = f"{study_slug(title)}_{day}.pdf"
    return File(name, "application/pdf", iter_pdf(_titled(title, lines)))


def _forms_of_asked_event(call: Call) -> tuple[str, ...]:
    event = call.parameters.text("event").strip()
    return call.design.forms_of_event(event) if event in call.design.event_order else ()


def _asked_place(call: Call) -> int | None:
    """Return the only instance that is asked for, or None for all of them."""
    return asked_instance(call) if "repeat_instance" in call.parameters else None


def _tell(call: Call, action: str, record_id: str = "", details: str = "") -> None:
    with call.store.writing() as connection:
        call.store.audit_log.write(connection, call.user, action, details, record_id)


def _titled(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield title
    yield ""
    yield from lines


def _iter_blank(call: Call, request: RecordRequest) -> Iterator[str]:
    columns = plan_columns(call.design, request)
    for form in call.design.forms:
        own = [column for column in columns if column.form == form.name]
        if own:
            yield form.label
            yield from (_line(column, _BLANK) for column in own)
            yield ""


def _iter_data(call: Call, request: RecordRequest, instance: int | None = None) -> Iterator[str]:
    columns = plan_columns(call.design, request)
    compact = call.parameters.flag("compactDisplay")
    with closing(call.store.connect()) as connection:
        export = flat_export(call, connection, request, columns)
        for rows in iter_stored(connection, call.user.project_id, call.design, request):
            for row in export.asked(rows):
                if instance is None or not row.instance or row.instance == instance:
                    yield from _row_lines(call, row, columns, export.line(row), compact=compact)


def _row_lines(
    call: Call, row: StoredRow, columns: Sequence[Column], line: Sequence[Cell], *, compact: bool
) -> Iterator[str]:
    place = [f"Record {row.record_id}", row.event, f"#{row.instance}" if row.instance else ""]
    about = ", ".join(part for part in place if part)
    applying = applying_forms(call.design, row)
    for form in call.design.forms:
        own = [
            (column, str(cell))
            for column, cell in zip(columns, line, strict=True)
            if column.form == form.name and column.kind == "value" and not (compact and cell == "")
        ]
        if own and form.name in applying:
            yield f"{form.label} ({about})"
            yield from (_line(column, text) for column, text in own)
            yield ""


def _line(column: Column, text: str) -> str:
    return f"{_TAG.sub('', column.label)}: {text}"
