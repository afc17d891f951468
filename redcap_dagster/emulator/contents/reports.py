"""Reports: their columns, rows and order are those that the project XML says."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from redcap_dagster.emulator.answers import Markup, Table
from redcap_dagster.emulator.contents.call import ODM, Call
from redcap_dagster.emulator.contents.odm import export_records_as_odm
from redcap_dagster.emulator.contents.record_request import read_request
from redcap_dagster.emulator.contents.records import flat_export
from redcap_dagster.emulator.design import Design, Report
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.names import natural_key
from redcap_dagster.emulator.records.columns import Column, plan_columns
from redcap_dagster.emulator.records.flat import Cell
from redcap_dagster.emulator.records.request import KeepsRows, RecordRequest
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.emulator.records.row_filter import RowFilter
from redcap_dagster.emulator.records.stored import iter_stored
from redcap_dagster.emulator.records.whole_records import WholeRecords

_WHOLE_RECORDS = "RECORD"
_DESCENDING = "DESC"
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_NUMBER = re.compile(r"[-+]?\d{1,300}(\.\d*)?", re.ASCII)
# What REDCap writes for a line break where a report removes them (captured by REDCapR).
_NO_LINE_BREAK = "  "


def export_report(call: Call) -> Table | Markup:
    """Return the rows of a report; export rights and data access groups apply."""
    report = _report(call)
    request = _request(call, report)
    if call.body_format == ODM:
        return export_records_as_odm(call, request)
    columns = _ordered(plan_columns(call.design, request), report)
    return Table(
        [column.label if request.label_headers else column.name for column in columns],
        _iter_lines(call, report, request, columns),
        container="records",
        cdata=True,
        csv_header_when_empty=False,
    )


def _report(call: Call) -> Report:
    asked = call.parameters.text("report_id").strip()
    for report in call.design.reports:
        if asked in {str(report.report_id), report.unique_name}:
            return report
    raise RequestRefusedError('The value of the parameter "report_id" is not valid')


def _request(call: Call, report: Report) -> RecordRequest:
    """Return what the report asks for; of the parameters, those of format and labels count."""
    own_group = call.user.data_access_group
    return replace(
        read_request(call),
        records=None,
        fields=frozenset(report.fields),
        forms=frozenset(),
        events=frozenset(report.events) or None,
        survey_fields=report.output_survey_fields,
        groups=report.output_groups and not own_group,
        combined_checkboxes=(
            call.options.combined_checkbox_separator if report.combine_checkboxes else ""
        ),
        changed_from="",
        changed_to="",
        row_filter=_row_filter(call, report),
    )


def _row_filter(call: Call, report: Report) -> KeepsRows | None:
    parts = [f"({logic})" for logic in (report.logic, report.limiter_logic) if logic.strip()]
    if not parts:
        return None
    now = call.store.audit_log.clock()
    row_filter = RowFilter(" and ".join(parts), call.design, call.user.project_id, now)
    return WholeRecords(row_filter) if report.filter_type == _WHOLE_RECORDS else row_filter


def _ordered(columns: Sequence[Column], report: Report) -> list[Column]:
    """Return the columns in the report's own order, after the record id and its like.

    A survey's time stamp comes before the first field of its instrument.
    """
    positions = {name: position for position, name in enumerate(report.fields)}
    first: dict[str, int] = {}
    for column in columns:
        position = positions.get(_asked_name(column), len(positions))
        first[column.form] = min(position, first.get(column.form, position))

    def position_of(column: Column) -> int:
        if column.kind != "value":
            return -1
        return positions.get(_asked_name(column), first[column.form])

    return sorted(columns, key=position_of)


def _asked_name(column: Column) -> str:
    return column.field.name if column.field else column.name


def _iter_lines(
    call: Call, report: Report, request: RecordRequest, columns: Sequence[Column]
) -> Iterator[list[Cell]]:
    with closing(call.store.connect()) as connection:
        export = flat_export(call, connection, request, columns)
        records = iter_stored(connection, call.user.project_id, call.design, request)
        rows = (
            row
            for record in records
            if not report.groups or not record or record[0].group in report.groups
            for row in export.asked(record)
        )
        for row in _sorted(rows, report, call.design):
            line = export.line(row)
            yield [_flattened(cell) for cell in line] if report.remove_line_breaks else line


def _flattened(cell: Cell) -> Cell:
    return _LINE_BREAK.sub(_NO_LINE_BREAK, cell) if isinstance(cell, str) else cell


def _sorted(rows: Iterator[StoredRow], report: Report, design: Design) -> Iterator[StoredRow]:
    """Return the rows in the report's order; as they come where that is by record id."""
    if not report.order_by or report.order_by[0] == (design.record_id_field, "ASC"):
        return rows
    ordered = list(rows)
    for name, direction in reversed(report.order_by):
        ordered.sort(key=_sort_key(design, name), reverse=direction == _DESCENDING)
    return iter(ordered)


def _sort_key(design: Design, name: str) -> Callable[[StoredRow], tuple[float, str]]:
    if name == design.record_id_field:
        return lambda row: (0, natural_key(row.record_id))
    return lambda row: _typed(row.cells.get(name, ""))


def _typed(value: str) -> tuple[float, str]:
    """Return what sorts numbers by size, after blanks and before texts."""
    if not value:
        return (float("-inf"), "")
    if _NUMBER.fullmatch(value):
        return (float(value), "")
    return (float("inf"), value.casefold())
