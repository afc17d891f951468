"""Loads published tables into a database: all of them in one transaction, or nothing."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from redcap_dagster.destinations.changes import (
    SchemaChanges,
    TableThere,
    check_policy,
    find_changes,
    how_to_replace,
    must_be_replaced,
)
from redcap_dagster.destinations.database import Database
from redcap_dagster.destinations.destination import Destination
from redcap_dagster.destinations.moved import MovedRecords, RowKey
from redcap_dagster.destinations.origin import Origin, check_alike, origin_of, read_origin
from redcap_dagster.destinations.plan import PARTITION_COLUMN, PlannedTable, plan_table
from redcap_dagster.destinations.rows import read_schema, stream_rows
from redcap_dagster.destinations.statements import (
    add_column,
    address,
    comment_on_column,
    comment_on_table,
    count_rows,
    create_table,
    delete_partitions,
    list_partitions,
)
from redcap_dagster.destinations.times import (
    ExtractTime,
    partition_comment,
    read_partition_comment,
    time_of,
)
from redcap_dagster.errors import DestinationError
from redcap_dagster.tables import PublishedExtract

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableLoad:
    """One table to load: whole, or some partitions of it.

    Attributes:
        table: Name of the published table.
        extracts: The extract to load from, by partition key; one under None for a whole table.
        partition_keys: Every partition that the study has; None where that is not known. Rows of
            others are refused, as nothing would ever bring them up to date.
    """

    table: str
    extracts: Mapping[str | None, PublishedExtract]
    partition_keys: frozenset[str] | None = None

    @property
    def rows(self) -> int:
        """Rows that the manifests promise."""
        return sum(item.tables[self.table].rows for item in self.extracts.values())


@dataclass(frozen=True)
class LoadedTable:
    """One table as it is in the database now.

    Attributes:
        table: Name of the published table.
        name: Its name in the database, which may hold fewer letters.
        schema: The schema it is in.
        rows: Rows that were loaded; of partitions, theirs alone.
        columns: Column name → the database's type.
        added: Names of the columns that were added to a table that was there.
        is_new: Whether the table was made, or made anew.
        left_out: How many rows of a partition were not loaded, since newer extracts of other
            partitions have them; partitions without such rows are not in it.
    """

    table: str
    name: str
    schema: str
    rows: int
    columns: Mapping[str, str]
    added: tuple[str, ...]
    is_new: bool
    left_out: Mapping[str | None, int] = field(default_factory=dict)


def load_extract(
    extract: PublishedExtract,
    destination: Destination,
    *,
    tables: Collection[str] | None = None,
    schema_changes: SchemaChanges = "add",
) -> tuple[LoadedTable, ...]:
    """Load an extract into a database, in place of what was loaded before.

    An extract of a partition replaces the rows of that partition alone.

    Args:
        extract: What `ExtractWriter.publish` or `current_extract` gave.
        destination: Where to load it.
        tables: Names of the tables to load; None for all.
        schema_changes: What may be done where a table in the database is different.

    Returns:
        Every table that was loaded, by name.

    Raises:
        TableError: The extract has no such table.
        DestinationError: It could not be loaded; the database is as it was.
        ConfigError: The driver is not installed, or there is no such `schema_changes`.
    """
    partition_key = extract.facts.get("partition")
    names = sorted(extract.tables if tables is None else set(tables))
    for name in names:
        extract.file(name)  # says which tables there are
    loads = [TableLoad(name, {partition_key: extract}) for name in names]
    return load_tables(loads, destination, schema_changes=schema_changes)


def load_tables(
    loads: Sequence[TableLoad],
    destination: Destination,
    *,
    schema_changes: SchemaChanges = "add",
) -> tuple[LoadedTable, ...]:
    """Load tables into a database in one transaction.

    Args:
        loads: What to load.
        destination: Where to.
        schema_changes: What may be done where a table in the database is different.

    Returns:
        Every table that was loaded, by name: loads that meet take the tables in one order.

    Raises:
        DestinationError: They could not be loaded; the database is as it was.
        ConfigError: The driver is not installed, or there is no such `schema_changes`.
    """
    check_policy(schema_changes)
    with destination.open() as database:
        with database.refusing(f"prepare the schema {database.schema}"):
            database.prepare()
            comments = database.table_comments()
        check_alike(database.schema, comments, _origins(loads))
        return tuple(
            _load(database, load, schema_changes)
            for load in sorted(loads, key=lambda item: item.table)
        )


def _origins(loads: Sequence[TableLoad]) -> set[Origin]:
    return {origin_of(extract) for load in loads for extract in load.extracts.values()}


def _load(database: Database, load: TableLoad, policy: SchemaChanges) -> LoadedTable:
    planned = plan_table(
        load.table,
        _schema_of(load),
        database.limits,
        is_partitioned=None not in load.extracts,
    )
    with database.refusing(f"load table {load.table}"):
        there = database.table_there(planned.name)
        if there is not None:
            _check_ours(database, load, there)
        loaded = _fit_table(database, load, planned, there, policy)
        there = None if loaded.is_new else there
        if there is not None:
            _make_room(database, load, planned, policy)
        left_out: Mapping[str | None, Collection[RowKey]] = {}
        # Without a key no row takes another's place.
        if planned.is_partitioned and planned.key_columns:
            times = _times(load, there)
            planned = planned.with_partition_comment(partition_comment(times))
            files = {key: extract.file(load.table) for key, extract in _partitions(load).items()}
            moved = MovedRecords(database, load.table, planned, files, times)
            left_out = moved.settle(is_new=there is None)
        _comment(database, load, planned, there)
        return _fill(database, load, planned, loaded, left_out)


def _fill(
    database: Database,
    load: TableLoad,
    planned: PlannedTable,
    loaded: LoadedTable,
    left_out: Mapping[str | None, Collection[RowKey]],
) -> LoadedTable:
    """Load the rows that are not to be left out, and check that all of them are there."""
    for key, extract in load.extracts.items():
        without = left_out.get(key, ())
        rows = stream_rows(extract.file(load.table), planned, key, without=without)
        database.append(planned.name, rows)
    counts = {key: len(keys) for key, keys in left_out.items()}
    for key, count in counts.items():
        logger.warning(
            "Rows of %s in partition %s that were left out, as newer extracts of other partitions "
            "have them: %d.",
            load.table,
            key,
            count,
        )
    loaded = replace(loaded, rows=load.rows - sum(counts.values()), left_out=counts)
    _check_rows(database, load, planned, loaded.rows)
    return loaded


def _partitions(load: TableLoad) -> dict[str, PublishedExtract]:
    return {key: extract for key, extract in load.extracts.items() if key is not None}


def _times(load: TableLoad, there: TableThere | None) -> dict[str, ExtractTime]:
    """When the extracts were made that the table holds after the load, as far as is known.

    Raises:
        DestinationError: An extract is older than the rows of its partition. It waited for another
            load, and rows that moved since may have been left out elsewhere for the newer ones.
    """
    comment = "" if there is None else there.comments.get(PARTITION_COLUMN, "")
    times = {
        key: time
        for key, time in read_partition_comment(comment).items()
        if load.partition_keys is None or key in load.partition_keys
    }
    for key, extract in _partitions(load).items():
        last, time = times.pop(key, None), time_of(extract, load.table)
        if time is None:
            continue
        if last is not None and time.is_before(last):
            raise DestinationError(
                f"Table {load.table}: a newer extract of {key} is loaded already. Nothing was "
                "loaded. Load what is published now; if a clock was wrong, or to go back to an "
                "older extract, drop the table and load all partitions.",
                retryable=True,
            )
        times[key] = time
    return times


def _schema_of(load: TableLoad) -> pa.Schema:
    schemas = [read_schema(extract.file(load.table)) for extract in load.extracts.values()]
    try:
        return pa.unify_schemas(schemas)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DestinationError(
            f"The partitions of {load.table} were made by different designs of the study, and a "
            "column has another type in some. Materialize the older ones again."
        ) from error


def _check_ours(database: Database, load: TableLoad, there: TableThere) -> None:
    """Leave alone what somebody else made, or another study."""
    origin = read_origin(there.comment)
    if origin is not None and origin == _origin(load):
        return
    whose = "was not made by a load" if origin is None else "holds another study"
    raise DestinationError(
        f"The schema {database.schema} has a table {load.table} already, which {whose}. Nothing "
        "was loaded. Load into a schema of the study's own, or drop the table."
    )


def _origin(load: TableLoad) -> Origin:
    return origin_of(next(iter(load.extracts.values())))


def _fit_table(
    database: Database,
    load: TableLoad,
    planned: PlannedTable,
    there: TableThere | None,
    policy: SchemaChanges,
) -> LoadedTable:
    """Make the table, or make it fit."""
    place = address(database.schema, planned.name)
    changes = None if there is None else find_changes(planned, there)
    is_new = changes is None or must_be_replaced(load.table, changes, policy)
    added = () if is_new or changes is None else changes.added
    if is_new and there is not None:
        _check_replaceable(database, load, planned, there)
        database.execute(f"drop table {place}")
    if is_new:
        database.execute(create_table(place, planned.columns, planned.key_columns))
    for column in added:
        database.execute(add_column(place, column))
    return LoadedTable(
        table=load.table,
        name=planned.name,
        schema=database.schema,
        rows=load.rows,
        columns={column.name: column.type for column in planned.columns},
        added=tuple(column.name for column in added),
        is_new=is_new,
    )


def _check_replaceable(
    database: Database, load: TableLoad, planned: PlannedTable, there: TableThere
) -> None:
    """A table is made anew only where every row of it comes again."""
    if not planned.is_partitioned or PARTITION_COLUMN not in there.types:
        return
    others = _partitions_there(database, planned) - set(load.extracts)
    if load.partition_keys is not None:
        others &= load.partition_keys
    if others:
        raise DestinationError(
            f"Table {load.table} must be made anew, and holds rows of {len(others)} partitions "
            "that are not loaded now. Nothing was loaded. Load all partitions in one run."
        )


def _make_room(
    database: Database, load: TableLoad, planned: PlannedTable, policy: SchemaChanges
) -> None:
    """Delete what the new rows take the place of."""
    place = address(database.schema, planned.name)
    if not planned.is_partitioned:
        database.execute(f"delete from {place}")
        return
    strays = _strays(database, load, planned)
    if strays and policy != "replace":
        names = ", ".join(sorted(key or "no partition" for key in strays))
        raise DestinationError(
            f"Table {load.table} holds rows of partitions that the study does not have: {names}. "
            f"Nothing would bring them up to date. To delete them, {how_to_replace()}; or drop the "
            "table and load all partitions."
        )
    database.execute(delete_partitions(place, {*load.extracts, *strays}))


def _strays(database: Database, load: TableLoad, planned: PlannedTable) -> set[str | None]:
    there = _partitions_there(database, planned)
    known = there - {None} if load.partition_keys is None else load.partition_keys
    return there - known - set(load.extracts)


def _partitions_there(database: Database, planned: PlannedTable) -> set[str | None]:
    place = address(database.schema, planned.name)
    return {key for (key,) in database.execute(list_partitions(place))}


def _comment(
    database: Database, load: TableLoad, planned: PlannedTable, there: TableThere | None
) -> None:
    """Say what the table and its columns hold, where that is not said yet."""
    place = address(database.schema, planned.name)
    comment = f"{planned.comment.removesuffix('.')}. {_origin(load).sentence}"
    known = {} if there is None else there.comments
    if there is None or there.comment != comment:
        database.execute(comment_on_table(place, comment))
    for column in planned.columns:
        if known.get(column.name, "") != column.comment:
            database.execute(comment_on_column(place, column))


def _check_rows(database: Database, load: TableLoad, planned: PlannedTable, expected: int) -> None:
    """Compare what is there now with what the manifests promise, without what was left out."""
    keys = set(load.extracts) if planned.is_partitioned else None
    ((found,),) = database.execute(count_rows(address(database.schema, planned.name), keys))
    if found != expected:
        raise DestinationError(
            f"Table {load.table} has {found} rows after loading, where the extract has "
            f"{expected}. Nothing was loaded."
        )
