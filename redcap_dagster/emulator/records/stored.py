"""Reads stored rows in REDCap's order: record by record, base rows before repeating rows."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import groupby

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.records.request import RecordRequest
from redcap_dagster.emulator.records.row import StoredRow

_HASH_LENGTH = 32
_CHANGED = """
    (record.changed_at BETWEEN :changed_from AND :changed_to OR EXISTS (
        SELECT 1 FROM log
        WHERE log.project_id = record.project_id AND log.record_id = record.record_id
        AND log.at BETWEEN :changed_from AND :changed_to
        AND (log.action LIKE 'Create record%' OR log.action LIKE 'Update record%')
    ))
"""
_END_OF_TIME = "9999-12-31 23:59:59"


def iter_stored(
    connection: sqlite3.Connection, project_id: int, design: Design, request: RecordRequest
) -> Iterator[list[StoredRow]]:
    """Yield the rows of one record after another, for the records and events asked for."""
    records: Iterator[Sequence[StoredRow]] = _iter_records(connection, project_id, design, request)
    if request.row_filter is not None:
        records = request.row_filter.kept(records)
    for rows in records:
        kept = [row for row in rows if request.events is None or row.event in request.events]
        if request.hidden.record_ids and kept:
            hashed = _hashed(project_id, kept[0].record_id)
            kept = [row._replace(record_id=hashed) for row in kept]
        yield kept


def _iter_records(
    connection: sqlite3.Connection, project_id: int, design: Design, request: RecordRequest
) -> Iterator[list[StoredRow]]:
    """Yield all rows of the records asked for: logic reads other events than are asked for."""
    conditions = ["record.project_id = :project_id"]
    values: dict[str, str | int] = {"project_id": project_id}
    if request.records is not None:
        conditions.append("record.record_id IN (SELECT value FROM json_each(:records))")
        values["records"] = json.dumps(request.records)
    if request.group:
        conditions.append("record.data_access_group = :group")
        values["group"] = request.group
    if request.changed_from or request.changed_to:
        conditions.append(_CHANGED)
        values["changed_from"] = request.changed_from
        values["changed_to"] = request.changed_to or _END_OF_TIME
    # A list of ids is asked for often, and of large projects: it need not read what they hold.
    cells_column = "'{}'" if _asks_ids_alone(design, request) else "row.cells"
    # The conditions are the fixed texts above; what was asked travels in `values`.
    found = connection.execute(
        "SELECT record.record_id, record.data_access_group, row.event, row.instrument,"  # noqa: S608
        f" row.instance, {cells_column}"
        " FROM record JOIN row USING (project_id, record_id)"
        f" WHERE {' AND '.join(conditions)}"
        " ORDER BY record.sort_key, record.record_id",
        values,
    )
    for _, rows in groupby(found, key=lambda row: str(row[0])):
        kept = [
            StoredRow(record_id, group, event, instrument, instance, json.loads(cells))
            for record_id, group, event, instrument, instance, cells in rows
            if design.has_place(event, instrument, instance)
        ]
        yield sorted(kept, key=lambda row: _position(design, row))


def _hashed(project_id: int, record_id: str) -> str:
    # The same from export to export, and another in another project.
    return sha256(f"{project_id}:{record_id}".encode()).hexdigest()[:_HASH_LENGTH]


def _asks_ids_alone(design: Design, request: RecordRequest) -> bool:
    return (
        request.fields == {design.record_id_field}
        and not request.forms
        and not request.survey_fields
        and request.row_filter is None
    )


def _position(design: Design, row: StoredRow) -> tuple[bool, int, int, int]:
    return (
        row.instance > 0,
        design.event_order[row.event],
        design.form_order.get(row.instrument, -1),
        row.instance,
    )


def applying_forms(design: Design, row: StoredRow) -> frozenset[str]:
    """Return the instruments that have values on a row; the columns of all others are blank."""
    if row.instrument:
        return frozenset({row.instrument})
    designated = design.forms_of_event(row.event)
    if row.instance:
        return frozenset(designated)
    return frozenset(form for form in designated if not design.repeats_as_form(row.event, form))
