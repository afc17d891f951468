"""SQL over a study's published tables, with DuckDB. Knows nothing of Dagster.

Each query is a file in `sql/`, named for the table it makes. It sees the study's tables as views
of their own names, and `planned_visits`, the schedule of the protocol.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from example_pipeline.study.design import EVENTS

SQL_FOLDER = Path(__file__).with_name("sql")
TABLES_READ: Mapping[str, frozenset[str]] = {
    "enrolment_by_month_and_site": frozenset({"enrolment"}),
    "visit_completeness_by_event": frozenset({"enrolment", "spirometry"}),
    "adverse_events_by_severity": frozenset({"enrolment", "adverse_events"}),
    "lung_function_trend_by_arm": frozenset({"spirometry"}),
}
"""Query → the study's tables it reads."""


class NothingPublishedError(FileNotFoundError):
    """The study's table has not been published where it is looked for."""


class MixedPartitionsError(ValueError):
    """A table has been published under several partitionings; adding them up would count twice."""


def published_files(shelf: Path, table: str) -> list[Path]:
    """The Parquet files that hold a table of a study now, one for each partition.

    They are named by the folders they really lie in, so that they stay the same ones while the
    next extract is published.

    Args:
        shelf: The study's folder: `<shelf>/current/<table>.parquet`, or one such folder for each
            partition key: `<shelf>/<partition_key>/current/<table>.parquet`.
        table: Name of the table.

    Raises:
        NothingPublishedError: There is none.
        MixedPartitionsError: There are some of different partitionings.
    """
    name = f"current/{table}.parquet"
    files = [*shelf.glob(name), *sorted(shelf.glob(f"*/{name}"))]
    if not files:
        raise NothingPublishedError(
            f"No file of the table {table} is published in {shelf}. Materialize the study's asset "
            f"{table} first."
        )
    # `bucket-03-of-16` → `16`; the shelf itself holds a table without partitions.
    partitionings = {
        "" if file.parent.parent == shelf else file.parent.parent.name.rpartition("-of-")[2]
        for file in files
    }
    if len(partitionings) > 1:
        raise MixedPartitionsError(
            f"The table {table} is published in {shelf} under {len(partitionings)} partitionings. "
            "Delete the folders of those that are no longer used."
        )
    return [file.resolve() for file in files]


def run_query(name: str, tables: Mapping[str, Sequence[Path]]) -> pa.Table:
    """Run one query of `sql/`.

    Args:
        name: Name of the query, a key of `TABLES_READ`.
        tables: Table → its Parquet files; all that the query reads.

    Returns:
        The query's rows, in its order.
    """
    sql = (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    with duckdb.connect() as connection:
        _create_views(connection, tables)
        return connection.sql(sql).to_arrow_table()


def count_enrolled(files: Sequence[Path]) -> int:
    """Participants with a date of enrolment, counted without the query they check."""
    with duckdb.connect() as connection:
        _create_views(connection, {"enrolment": files})
        counted = connection.execute(
            "select count(distinct participant_id) from enrolment where enrolment_date is not null"
        ).fetchone()
    return int(counted[0]) if counted else 0


def _create_views(
    connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Iterable[Path]]
) -> None:
    for table, files in tables.items():
        relation = connection.read_parquet([str(file) for file in files], union_by_name=True)
        relation.create_view(table)
    connection.register("planned_visits", _planned_visits())


def _planned_visits() -> pa.Table:
    visits = [
        {
            "visit_order": order,
            "event": event.name,
            "day": event.day,
            "days_late": event.window,
        }
        for order, event in enumerate(EVENTS)
        if "spirometry" in event.forms
    ]
    return pa.Table.from_pylist(visits)
