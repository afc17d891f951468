"""PostgreSQL as a destination, through its ADBC driver: rows go in by COPY, as Arrow."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from redcap_dagster.destinations.changes import TableThere
from redcap_dagster.destinations.database import Database
from redcap_dagster.destinations.plan import Limits
from redcap_dagster.destinations.statements import literal, quoted
from redcap_dagster.errors import ConfigError, DestinationError

_LIMITS = Limits(
    database="PostgreSQL",
    types={
        pa.string(): "text",
        pa.int64(): "bigint",
        pa.float64(): "double precision",
        pa.bool_(): "boolean",
        pa.date32(): "date",
        pa.timestamp("ms"): "timestamp without time zone",
        pa.time32("ms"): "time without time zone",
        pa.list_(pa.field("element", pa.string())): "text[]",
    },
    longest_name=63,
    most_columns=1600,
)

_REASONS = {
    "22021": "a text holds a character that PostgreSQL cannot store, such as a NUL",
    "22P05": "a text holds a character that the database's encoding lacks; use one in UTF8",
    "23505": "rows are not unique by the table's key",
    "23502": "a part of a key is blank",
    "25006": "the database can only be read",
    "28000": "it does not let this user in",
    "28P01": "the user or the password is wrong",
    "2BP01": "views or other things depend on a table that must be made anew; drop them first",
    "3D000": "there is no such database",
    "42501": "the user lacks a right that a load needs (docs/destinations.md lists them)",
    "42701": "a column has a name that PostgreSQL keeps for itself, such as xmin or ctid; leave "
    "the table out",
    "42939": "PostgreSQL keeps schemas that begin with pg_ for itself; name another",
    "53100": "its disk is full",
    "54000": "a row is wider than the 8 kB that a page holds; leave the table out",
    "54011": "a table or row has too many columns; leave the table out",
}
_NO_ANSWER = (
    "nobody answers, or the user, password or database of the address is wrong; psql with the same "
    "address says which"
)
"""All that can be told where libpq has only a message, which repeats the address."""

_FIRST_THAT_WRITES_TIMES = (1, 13)

_RETRYABLE = ("08", "40", "53", "55P03", "57")
"""How SQLSTATEs begin of what may succeed later: connection, conflict, resources, a lock."""


@contextmanager
def open_postgresql(url: str, schema: str) -> Iterator[Database]:
    """Connect, with a transaction that ends with the block.

    Raises:
        ConfigError: The driver is not installed.
        DestinationError: The server cannot be reached, or it refused what was done in the block.
    """
    try:
        # Optional: Parquet files need no database.
        driver = import_module("adbc_driver_postgresql.dbapi")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "The ADBC driver of PostgreSQL is not installed: "
            "pip install 'redcap-dagster[postgresql]'"
        ) from error
    with _refusing(driver, "be reached"), driver.connect(url) as connection:
        yield _PostgresqlServer(connection, driver, schema)
        connection.commit()


class _PostgresqlServer(Database):
    limits = _LIMITS

    def __init__(self, connection: Any, driver: Any, schema: str) -> None:
        super().__init__(schema)
        self._connection = connection
        self._driver = driver

    def prepare(self) -> None:
        # Only where it lacks: `create schema if not exists` needs the right to create in any case.
        name = literal(self.schema)
        self.execute(
            f"select pg_advisory_xact_lock(hashtextextended('redcap-dagster ' || {name}, 0))"
        )
        if not self.execute(f"select 1 from pg_namespace where nspname = {name}"):
            self.execute(f"create schema {quoted(self.schema)}")

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
            return rows

    def append(self, table: str, rows: pa.RecordBatchReader, *, is_temporary: bool = False) -> None:
        _refuse_times_of_an_old_driver(table, rows.schema)
        place = {"temporary": True} if is_temporary else {"db_schema_name": self.schema}
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="append", **place)

    def table_there(self, name: str) -> TableThere | None:
        place = (
            "c.relnamespace = n.oid and n.nspname = "
            f"{literal(self.schema)} and c.relname = {literal(name)}"
        )
        found = self.execute(
            "select coalesce(obj_description(c.oid, 'pg_class'), '') "
            f"from pg_class c, pg_namespace n where {place}"
        )
        if not found:
            return None
        columns = self.execute(
            "select a.attname::text, format_type(a.atttypid, a.atttypmod), "
            "coalesce(col_description(c.oid, a.attnum), '') "
            f"from pg_class c, pg_namespace n, pg_attribute a where {place} "
            "and a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum"
        )
        keys = self.execute(
            "select a.attname::text "
            f"from pg_class c, pg_namespace n, pg_attribute a, pg_index i where {place} "
            "and i.indrelid = c.oid and i.indisprimary "
            "and a.attrelid = c.oid and a.attnum = any(i.indkey)"
        )
        return TableThere(
            types={column: kind for column, kind, _ in columns},
            comments={column: comment for column, _, comment in columns},
            key_columns=frozenset(column for (column,) in keys),
            comment=found[0][0],
        )

    def table_comments(self) -> dict[str, str]:
        found = self.execute(
            "select c.relname::text, coalesce(obj_description(c.oid, 'pg_class'), '') "
            "from pg_class c, pg_namespace n where c.relnamespace = n.oid "
            f"and c.relkind in ('r', 'p') and n.nspname = {literal(self.schema)}"
        )
        return dict(found)

    @contextmanager
    def refusing(self, doing: str) -> Iterator[None]:
        with _refusing(self._driver, doing):
            yield


def _refuse_times_of_an_old_driver(table: str, schema: pa.Schema) -> None:
    times = [column.name for column in schema if pa.types.is_time(column.type)]
    installed = version("adbc-driver-postgresql")
    if times and tuple(map(int, installed.split(".")[:2])) < _FIRST_THAT_WRITES_TIMES:
        raise DestinationError(
            f"PostgreSQL could not load table {table}: its columns {', '.join(times)} hold times "
            f"of day, which adbc-driver-postgresql {installed} cannot write. Version 1.13 can; it "
            "needs Python 3.11. Nothing was loaded."
        )


@contextmanager
def _refusing(driver: Any, doing: str) -> Iterator[None]:
    try:
        yield
    except driver.Error as error:
        state = getattr(error, "sqlstate", None) or ""
        # Without a state it is the connection, or the driver itself.
        is_connection = not state and isinstance(error, driver.OperationalError)
        reason = _NO_ANSWER if is_connection else _REASONS.get(state, "it refused")
        code = f"SQLSTATE {state}" if state else type(error).__name__
        raise DestinationError(
            f"PostgreSQL could not {doing}: {reason} ({code}). Nothing was loaded.",
            retryable=state.startswith(_RETRYABLE) or is_connection,
        ) from None
