"""A database of each kind to load into, and small extracts to load."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.destinations import Destination
from redcap_dagster.destinations.statements import address, quoted
from redcap_dagster.project import DictionaryField, Instrument, ProjectInfo, RedcapProject
from redcap_dagster.tables import ExtractWriter, PublishedExtract

RECORD_ID = DictionaryField("record_id", "visits", "text")
FIRST = datetime(2026, 11, 22, 8, 0, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Warehouse:
    """A destination, and what is in it."""

    destination: Destination

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.destination.open() as database:
            return database.execute(sql)

    def rows(self, table: str, order: str = "1") -> list[tuple[Any, ...]]:
        place = address(self.destination.schema, table)
        return self.ask(f"select * from {place} order by {order}")  # noqa: S608

    def table(self, name: str) -> Any:
        with self.destination.open() as database:
            return database.table_there(name)

    def place(self, table: str) -> str:
        return address(self.destination.schema, table)


@pytest.fixture(params=["duckdb", "postgresql"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """A schema of its own in each kind of database."""
    if request.param == "duckdb":
        yield Warehouse(Destination(f"duckdb:///{tmp_path}/study.duckdb"))
        return
    yield from _schema(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Warehouse]:
    """A schema of its own in PostgreSQL."""
    yield from _schema(postgresql_url)


def _schema(url: str) -> Iterator[Warehouse]:
    warehouse = Warehouse(Destination(url, f"redcap_test_{token_hex(4)}"))
    yield warehouse
    warehouse.ask(f"drop schema if exists {quoted(warehouse.destination.schema)} cascade")


Publish = Callable[..., PublishedExtract]


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    """Publishes tables as an extract, of a partition or of the whole study.

    Each begins an hour after the one before, and takes a minute; or both as `hours` says.
    """
    hour = count()

    def _publish(
        tables: Mapping[str, pa.Table],
        partition: str | None = None,
        project_id: int = 7,
        hours: tuple[float, float] | None = None,
        deidentification: Mapping[str, Any] | None = None,
    ) -> PublishedExtract:
        start, end = hours or (number := next(hour), number + 1 / 60)
        began = FIRST + timedelta(hours=start)
        facts = {
            "project_id": project_id,
            "partition": partition,
            "began": began.isoformat(timespec="seconds"),
            "seconds": (end - start) * 3600,
        }
        if deidentification is not None:
            facts["deidentification"] = deidentification
        project = RedcapProject(
            info=ProjectInfo(project_id=project_id, title="Study"),
            redcap_version="14.7.3",
            instruments=(Instrument("visits", "Visits", (RECORD_ID,)),),
        )
        shelf = tmp_path / "published" / (partition or "whole")
        extract_id = f"{began:%Y%m%dT%H%M%SZ}-{token_hex(4)}"
        with ExtractWriter(shelf, project, [], extract_id=extract_id) as writer:
            for name, table in tables.items():
                writer.write_table(name, table)
            return writer.publish(facts)

    return _publish


@pytest.fixture
def visits() -> Callable[..., pa.Table]:
    """A table of visits with a key: record id and what else is given, by column."""

    def _visits(record_ids: list[str], **columns: Any) -> pa.Table:
        names = {"record_id": pa.array(record_ids, pa.string()), **columns}
        arrays = [item if isinstance(item, pa.Array) else pa.array(item) for item in names.values()]
        fields = [
            pa.field(
                name,
                array.type,
                nullable=name != "record_id",
                metadata={"redcap.description": f"The <b>{name}</b> of it's visit"},
            )
            for name, array in zip(names, arrays, strict=True)
        ]
        facts = {"redcap.label": "Visits", "redcap.key_columns": '["record_id"]'}
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, facts))

    return _visits
