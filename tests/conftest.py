"""Accounts for every cell of an export, reading values by Python alone."""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest

from redcap_dagster.api.budget import FOLDER_VARIABLE
from redcap_dagster.destinations import Destination
from redcap_dagster.errors import ConfigError, DestinationError
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import (
    DEFAULT_TABLE_OPTIONS,
    SplitChunk,
    TableColumn,
    TableOptions,
    TableSpec,
    plan_tables,
)
from tests.object_stores import az, azure_server, gcs_server, gs, s3, s3_server

__all__ = ["az", "azure_server", "gcs_server", "gs", "s3", "s3_server"]

CellKey = tuple[str, str, str, str, str]
"""Record, event, repeat instrument, repeat instance and export column of a cell."""

_ROW_COLUMNS = (
    "redcap_event_name",
    "redcap_repeat_instrument",
    "redcap_repeat_instance",
    "redcap_data_access_group",
    "redcap_survey_identifier",
)


def _sent_cells(project: RedcapProject, chunk: pa.Table) -> dict[CellKey, str]:
    """Every non-blank cell of an export, but those that say what a row is."""
    return {
        (*_row_key(project, row), name): text
        for row in chunk.to_pylist()
        for name, text in row.items()
        if text and name not in {project.record_id_field, *_ROW_COLUMNS}
    }


def _row_key(project: RedcapProject, row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    instance = row.get("redcap_repeat_instance") or ""
    return (
        row[project.record_id_field],
        row.get("redcap_event_name") or "",
        row.get("redcap_repeat_instrument") or "",
        str(int(instance)) if instance.strip().isdecimal() else instance,
    )


def _cells_of_table(
    project: RedcapProject, spec: TableSpec, table: pa.Table | None
) -> Iterator[tuple[CellKey, TableColumn, Any]]:
    """The values of a table, by the cell of the export that each came from."""
    kinds = {placement.event: placement.row_kind for placement in spec.placements}
    if table is None:  # of no instrument
        return
    columns = [column for column in spec.columns if column.export_columns]
    for row in table.to_pylist():
        event = row.get("redcap_event_name")
        kind = kinds[event]
        instance = {
            "ordinary": ("", ""),
            "repeating_form": (spec.instrument, str(row.get("redcap_form_instance"))),
            "repeating_event": ("", str(row.get("redcap_event_instance"))),
        }[kind]
        place = (row[project.record_id_field], event or "", *instance)
        for column in columns:
            if row[column.name] is None:
                continue
            if column.source is not None:
                yield (*place, column.source.name), column, _meaning_of(column, row[column.name])
            for source, choice in zip(column.choice_sources, column.choices, strict=False):
                yield (*place, source.name), column, choice.label in row[column.name]


def _meaning_of(column: TableColumn, value: Any) -> Any:
    """What the cell of the export meant: of a label, its code."""
    if column.role != "choice_label":
        return value
    return {choice.label: choice.code for choice in column.choices}[value]


def _means(kind: str | None, text: str) -> Any:
    """What a text means, read by Python alone."""
    if kind in {None, "text", "choice", "file"}:
        return text
    text = text.strip()
    if kind == "integer":
        return int(text)
    if kind in {"decimal", "decimal_comma"}:
        return float(text.replace(",", "."))
    if kind == "boolean":
        return {"0": False, "1": True}[text]
    if kind == "date":
        return date.fromisoformat(text)
    if kind in {"datetime", "datetime_seconds"}:
        return datetime.strptime(text, "%Y-%m-%d %H:%M" + ":%S" * text.count(":", 14))  # noqa: DTZ007
    parts = [int(part) for part in text.split(":")]
    return time(0, *parts) if kind == "minutes_seconds" else time(*parts)


def _account_for(
    project: RedcapProject,
    chunk: pa.Table,
    done: SplitChunk,
    options: TableOptions = DEFAULT_TABLE_OPTIONS,
) -> None:
    """Assert that every non-blank cell is in exactly one table with its meaning, or rejected."""
    sent = _sent_cells(project, chunk)
    found: dict[CellKey, str] = {}
    for row in done.rejected.to_pylist():
        key = (*_row_key(project, row), row["field"])
        assert key not in found
        assert project.instruments_by_name[row["instrument"]]
        found[key] = row["value"]
    for spec in plan_tables(project, options=options):
        for key, column, value in _cells_of_table(project, spec, done.tables.get(spec.name)):
            # A list says nothing of the choices that were blank, or rejected, beside others.
            if column.choice_sources and value is False and (key not in sent or key in found):
                continue
            assert key not in found
            assert value == _means(column.kind, sent[key]), column.name
            found[key] = sent[key]
    assert found == sent


@pytest.fixture(scope="session")
def account_for() -> Callable[..., None]:
    return _account_for


@pytest.fixture(autouse=True, scope="session")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Fixtures that tests share leave no ledger of requests behind."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("budget")
        patch.setenv(FOLDER_VARIABLE, str(folder))
        yield folder


@pytest.fixture(autouse=True)
def own_ledgers(ledgers: Path) -> Iterator[None]:
    """Tests lie minutes apart to the budget of requests: none waits for what others have sent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(ledgers / uuid4().hex))
        yield


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """Address of a PostgreSQL server on loopback in which tests may make schemas of their own."""
    url = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
    try:
        with Destination(url).open() as database:
            database.execute("select 1")
    except (ConfigError, DestinationError) as error:
        pytest.skip(f"no PostgreSQL to test with (TEST_POSTGRESQL_URL names one): {error}")
    return url
