"""A project, or its records alone, as CDISC ODM."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from redcap_dagster.emulator.answers import Markup
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.record_request import read_request
from redcap_dagster.emulator.odm.write import iter_document
from redcap_dagster.emulator.odm.write_records import RecordWriter, WrittenFile
from redcap_dagster.emulator.odm.write_study import iter_study
from redcap_dagster.emulator.records.columns import plan_columns
from redcap_dagster.emulator.records.request import RecordRequest
from redcap_dagster.emulator.records.stored import iter_stored
from redcap_dagster.emulator.state.documents import find_document, iter_content


def export_project_xml(call: Call) -> Markup:
    """Return the project as XML that this emulator, or a REDCap, makes a project of."""
    request = replace(read_request(call), combined_checkboxes="")
    written_at = call.store.audit_log.now()
    study = iter_study(
        call.design, written_at, groups=request.groups, surveys=request.survey_fields
    )
    body: Iterator[str] = study
    if not call.parameters.flag("returnMetadataOnly"):
        body = _both(study, _iter_records(call, request, written_at))
    return _document(call, written_at, body)


def export_records_as_odm(call: Call, request: RecordRequest) -> Markup:
    """Return records alone, without the study's definition, as `format=odm` asks."""
    written_at = call.store.audit_log.now()
    request = replace(request, combined_checkboxes="")
    return _document(call, written_at, _iter_records(call, request, written_at))


def _both(first: Iterator[str], second: Iterator[str]) -> Iterator[str]:
    yield from first
    yield from second


def _document(call: Call, written_at: str, body: Iterator[str]) -> Markup:
    title = call.design.settings.title
    return Markup(iter_document(title, written_at, call.redcap_version, body))


def _iter_records(call: Call, request: RecordRequest, written_at: str) -> Iterator[str]:
    with_content = call.parameters.flag("exportFiles")
    with closing(call.store.connect()) as connection:

        def find_file(document_id: str) -> WrittenFile | None:
            return _file(call, connection, document_id, with_content=with_content)

        writer = RecordWriter(
            call.design,
            plan_columns(call.design, request),
            find_file,
            groups=request.groups,
            surveys=request.survey_fields,
        )
        records = iter_stored(connection, call.user.project_id, call.design, request)
        yield from writer.lines(records, written_at)


def _file(
    call: Call, connection: sqlite3.Connection, document_id: str, *, with_content: bool
) -> WrittenFile | None:
    document = find_document(connection, call.user.project_id, document_id)
    if document is None:
        return None
    pieces = None
    if with_content and document.has_content:
        pieces = iter_content(call.store, document.document_id)
    return WrittenFile(document.name, document.mime_type, pieces)
