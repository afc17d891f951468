"""DuckDB as a destination: a file of one's own, written by one load at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout

from redcap_dagster.destinations.changes import TableThere
from redcap_dagster.destinations.database import Database
from redcap_dagster.destinations.plan import Limits
from redcap_dagster.destinations.statements import address, literal, quoted
from redcap_dagster.errors import ConfigError, DestinationError

_LIMITS = Limits(
    database="DuckDB",
    types={
        pa.string(): "VARCHAR",
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE",
        pa.bool_(): "BOOLEAN",
        pa.date32(): "DATE",
        pa.timestamp("ms"): "TIMESTAMP",
        pa.time32("ms"): "TIME",
        pa.list_(pa.field("element", pa.string())): "VARCHAR[]",
    },
)
_LOCK_TIMEOUT_S = 300.0
_INCOMING = "redcap_incoming_rows"

_NOT_WRITTEN = "the disk is full, or the rows could not be written for another reason"
_REASONS = {
    "ConstraintException": "rows are not unique by the table's key, or a part of the key is blank",
    "IOException": "the file cannot be read or written, is no DuckDB file, or another program has "
    "it open",
    "ConnectionException": "this process has the file open in another way",
    "FatalException": _NOT_WRITTEN,
    "TransactionException": _NOT_WRITTEN,
    "DependencyException": "something else depends on a table that must be changed",
    "OutOfMemoryException": "there is not enough memory",
}


@contextmanager
def open_duckdb(path: Path, schema: str) -> Iterator[Database]:
    """Open a file, made when it is not there, with a transaction that ends with the block.

    Raises:
        ConfigError: DuckDB is not installed.
        DestinationError: The file cannot be opened, or DuckDB refused what was done in the block.
    """
    try:
        # Optional: Parquet files need no database.
        library = import_module("duckdb")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "DuckDB is not installed: pip install 'redcap-dagster[duckdb]'"
        ) from error
    with _alone_with(path), _refusing(library, f"write {path.name}"):
        is_new = not path.exists()
        with _refusing(library, f"open {path.name}"):
            connection = library.connect(path)
        try:
            if is_new:
                path.chmod(0o600)
            connection.begin()
            yield _DuckdbFile(connection, library, schema)
            connection.commit()
        finally:
            # Without a commit before, this undoes the transaction.
            connection.close()


class _DuckdbFile(Database):
    limits = _LIMITS

    def __init__(self, connection: Any, library: Any, schema: str) -> None:
        super().__init__(schema)
        self._connection = connection
        self._library = library

    def prepare(self) -> None:
        self.execute(f"create schema if not exists {quoted(self.schema)}")

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
        return rows

    def append(self, table: str, rows: pa.RecordBatchReader, *, is_temporary: bool = False) -> None:
        target = quoted(table) if is_temporary else address(self.schema, table)
        self._connection.register(_INCOMING, rows)
        self.execute(f"insert into {target} by name select * from {_INCOMING}")
        self._connection.unregister(_INCOMING)

    def table_there(self, name: str) -> TableThere | None:
        place = f"{self._in_schema()} and lower({{}}) = lower({literal(name)})"
        found = self.execute(
            f"select comment from duckdb_tables() where {place.format('table_name')} "
            f"union all select comment from duckdb_views() where {place.format('view_name')}"
        )
        if not found:
            return None
        columns = self.execute(
            "select column_name, data_type, comment from duckdb_columns() "
            f"where {place.format('table_name')} order by column_index"
        )
        keys = self.execute(
            "select constraint_column_names from duckdb_constraints() "
            f"where {place.format('table_name')} and constraint_type = 'PRIMARY KEY'"
        )
        return TableThere(
            types={column: kind for column, kind, _ in columns},
            comments={column: comment or "" for column, _, comment in columns},
            key_columns=frozenset(column for (key,) in keys for column in key),
            comment=found[0][0] or "",
        )

    def table_comments(self) -> dict[str, str]:
        found = self.execute(
            "select table_name, coalesce(comment, '') from duckdb_tables() "
            f"where {self._in_schema()}"
        )
        return dict(found)

    def _in_schema(self) -> str:
        """DuckDB does not tell names apart that differ in capitals alone."""
        schema = f"lower(schema_name) = lower({literal(self.schema)})"
        return f"database_name = current_database() and {schema}"

    @contextmanager
    def refusing(self, doing: str) -> Iterator[None]:
        with _refusing(self._library, doing):
            yield


@contextmanager
def _alone_with(path: Path) -> Iterator[None]:
    """Wait until no other load writes the file: DuckDB itself would refuse at once."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(f"{path}.lock", mode=0o600, thread_local=False)
        lock.acquire(timeout=_LOCK_TIMEOUT_S)
    except Timeout:
        raise DestinationError(
            f"Another load has been writing {path} for {_LOCK_TIMEOUT_S:.0f} seconds. Nothing was "
            "loaded; try again when it is done.",
            retryable=True,
        ) from None
    except OSError as error:
        raise DestinationError(
            f"{path} cannot be written: {error.strerror or type(error).__name__}."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _refusing(library: Any, doing: str) -> Iterator[None]:
    try:
        yield
    except library.Error as error:
        kind = type(error).__name__
        raise DestinationError(
            f"DuckDB could not {doing}: {_REASONS.get(kind, 'it refused')} ({kind}). Nothing was "
            "loaded."
        ) from None
