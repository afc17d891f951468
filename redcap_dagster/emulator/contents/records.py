"""Record export: reads the parameters, answers with a stream of lines."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing

from redcap_dagster.emulator.answers import Markup, Table
from redcap_dagster.emulator.contents.call import ODM, Call
from redcap_dagster.emulator.contents.odm import export_records_as_odm
from redcap_dagster.emulator.contents.record_request import read_request
from redcap_dagster.emulator.records.columns import Column, plan_columns
from redcap_dagster.emulator.records.eav import EavExport, eav_header
from redcap_dagster.emulator.records.flat import Cell, FlatExport
from redcap_dagster.emulator.records.request import RecordRequest
from redcap_dagster.emulator.records.stored import iter_stored


def export_records(call: Call) -> Table | Markup:
    """Return the records a request asks for.

    Raises:
        RequestRefusedError: A parameter names something unknown, or something the emulator does
            not do.
    """
    request = read_request(call)
    if call.body_format == ODM:
        return export_records_as_odm(call, request)
    if call.parameters.word("type", "flat") == "eav":
        return Table(
            eav_header(call.design),
            _iter_eav(call, request),
            container="records",
            cdata=True,
            csv_header_when_empty=False,
        )
    columns = plan_columns(call.design, request)
    header = [column.label if request.label_headers else column.name for column in columns]
    return Table(
        header,
        _iter_flat(call, request, columns),
        container="records",
        cdata=True,
        csv_header_when_empty=False,
    )


def _iter_flat(
    call: Call, request: RecordRequest, columns: Sequence[Column]
) -> Iterator[list[Cell]]:
    with closing(call.store.connect()) as connection:
        export = flat_export(call, connection, request, columns)
        for rows in iter_stored(connection, call.user.project_id, call.design, request):
            yield from export.lines(rows)


def flat_export(
    call: Call, connection: sqlite3.Connection, request: RecordRequest, columns: Sequence[Column]
) -> FlatExport:
    """Return what turns stored rows into lines; it reads the names of files."""

    def document_name(document_id: str) -> str:
        return _document_name(connection, document_id)

    return FlatExport(call.design, request, columns, document_name)


def _iter_eav(call: Call, request: RecordRequest) -> Iterator[list[Cell]]:
    export = EavExport(call.design, request, plan_columns(call.design, request))
    with closing(call.store.connect()) as connection:
        for rows in iter_stored(connection, call.user.project_id, call.design, request):
            yield from export.lines(rows)


def _document_name(connection: sqlite3.Connection, document_id: str) -> str:
    found = connection.execute(
        "SELECT name FROM document WHERE document_id = ?", (document_id,)
    ).fetchone()
    # A missing data code can stand in a file field, where no document belongs to it.
    return str(found[0]) if found else document_id
