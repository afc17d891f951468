"""Reads what the pages show."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from redcap_dagster.emulator.design import Design, Field
from redcap_dagster.emulator.face.places import Place, place_of
from redcap_dagster.emulator.records.columns import Column, plan_columns
from redcap_dagster.emulator.records.naming import next_number
from redcap_dagster.emulator.records.request import RecordRequest
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.emulator.records.stored import applying_forms, iter_stored
from redcap_dagster.emulator.state.store import Store

RECORDS_ON_A_PAGE = 50
_LOG_LINES = 200
_MAX_NUMBER = (1 << 63) - 1


@dataclass(frozen=True)
class ProjectLine:
    """One line of the list of projects."""

    project_id: int
    design: Design
    records: int
    tokens: tuple[tuple[str, str], ...]


def project_lines(store: Store) -> list[ProjectLine]:
    """Return the projects with the tokens of their users, masked."""
    with closing(store.connect()) as connection:
        counts = connection.execute(
            "SELECT project_id, (SELECT count(*) FROM record WHERE project_id = p.project_id)"
            " FROM project AS p ORDER BY project_id"
        ).fetchall()
    return [
        ProjectLine(
            project_id,
            store.design(project_id),
            records,
            tuple((user.username, masked(user.token)) for user in store.users(project_id)),
        )
        for project_id, records in counts
    ]


def masked(token: str) -> str:
    """Return the last letters of a token, enough to tell it from others."""
    return f"…{token[-4:]}" if token else "none"


def has_project(store: Store, project_id: int) -> bool:
    """Whether there is such a project."""
    if project_id > _MAX_NUMBER:
        return False
    with closing(store.connect()) as connection:
        found = connection.execute("SELECT 1 FROM project WHERE project_id = ?", (project_id,))
        return found.fetchone() is not None


def ids_of_page(store: Store, project_id: int, number: int) -> tuple[list[str], int]:
    """Return the ids on one page of the record table, the first being 1, and the count of all."""
    with closing(store.connect()) as connection:
        count = connection.execute(
            "SELECT count(*) FROM record WHERE project_id = ?", (project_id,)
        ).fetchone()[0]
        found = connection.execute(
            "SELECT record_id FROM record WHERE project_id = ?"
            " ORDER BY sort_key, record_id LIMIT ? OFFSET ?",
            (project_id, RECORDS_ON_A_PAGE, (number - 1) * RECORDS_ON_A_PAGE),
        ).fetchall()
    return [record_id for (record_id,) in found], count


def rows_of(store: Store, project_id: int, record_ids: Sequence[str]) -> list[StoredRow]:
    """Return the rows of records, in the order of an export."""
    if not record_ids:
        return []
    request = RecordRequest(records=tuple(record_ids))
    with closing(store.connect()) as connection:
        found = iter_stored(connection, project_id, store.design(project_id), request)
        return [row for rows in found for row in rows]


def form_columns(design: Design, form: str) -> list[Column]:
    """Return the stored columns of an instrument but for the record id."""
    columns = plan_columns(design, RecordRequest(forms=frozenset({form})))
    return [column for column in columns if column.kind == "value"]


def form_fields(design: Design, form: str) -> list[Field]:
    """Return the fields of an instrument that hold values, but for the record id."""
    return [
        entry
        for entry in design.fields_by_form[form]
        if entry.has_column and entry.name != design.record_id_field
    ]


def rows_with_form(design: Design, rows: Sequence[StoredRow], form: str) -> list[StoredRow]:
    """Return the rows where an instrument has its values."""
    return [row for row in rows if form in applying_forms(design, row)]


def shown_cells(store: Store, project_id: int, design: Design, place: Place) -> dict[str, str]:
    """Return what stands in a row, blank where it is not there; documents by their names."""
    rows = rows_of(store, project_id, [place.record_id])
    cells = next((dict(row.cells) for row in rows if place_of(row) == place), {})
    files = [
        entry.name for entry in design.fields if entry.field_type == "file" and entry.name in cells
    ]
    with closing(store.connect()) as connection:
        for name in files:
            found = connection.execute(
                "SELECT name FROM document WHERE project_id = ? AND document_id = ?",
                (project_id, cells[name]),
            ).fetchone()
            cells[name] = found[0] if found else cells[name]
    return cells


def next_id(store: Store, project_id: int) -> str:
    """Return the number a new record would get."""
    with closing(store.connect()) as connection:
        return str(next_number(connection, project_id, ""))


def log_lines(store: Store, project_id: int) -> list[tuple[str, str, str, str, str]]:
    """Return the newest lines of the log: time, user, action, record, details."""
    with closing(store.connect()) as connection:
        found = connection.execute(
            "SELECT at, username, action, record_id, details FROM log WHERE project_id = ?"
            " ORDER BY log_id DESC LIMIT ?",
            (project_id, _LOG_LINES),
        )
        return [(at, user, action, record, details) for at, user, action, record, details in found]
