"""The SQL of a load, which DuckDB and PostgreSQL read alike.

Every name goes through `quoted` and every text through `literal`, so that labels of a study's
designer are never read as SQL.
"""

from collections.abc import Collection, Iterable, Sequence

from redcap_dagster.destinations.plan import PARTITION_COLUMN, PlannedColumn, PlannedTable


def quoted(name: str) -> str:
    """A name as an SQL identifier.

    Examples:
        >>> quoted('a "b" c')
        '"a ""b"" c"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string.

    Examples:
        >>> print(literal("it's"))
        'it''s'
    """
    return "'" + text.replace("'", "''") + "'"


def address(schema: str, table: str) -> str:
    """A table with its schema."""
    return f"{quoted(schema)}.{quoted(table)}"


def create_table(table: str, columns: Iterable[PlannedColumn], key: Sequence[str]) -> str:
    """Make a table.

    Args:
        table: Its quoted address.
        columns: Its columns.
        key: Names of the columns of its primary key; empty for none.
    """
    parts = [f"{quoted(column.name)} {column.type}" for column in columns]
    if key:
        parts.append(f"primary key ({_names(key)})")
    return f"create table {table} ({', '.join(parts)})"


def add_column(table: str, column: PlannedColumn) -> str:
    """Add a column, null in every row."""
    return f"alter table {table} add column {quoted(column.name)} {column.type}"


def comment_on_table(table: str, comment: str) -> str:
    """Say what a table holds."""
    return f"comment on table {table} is {literal(comment)}"


def comment_on_column(table: str, column: PlannedColumn) -> str:
    """Say what a column holds."""
    return f"comment on column {table}.{quoted(column.name)} is {literal(column.comment)}"


def delete_partitions(table: str, keys: Collection[str | None]) -> str:
    """Delete the rows of some partitions; None for rows of none."""
    return f"delete from {table} where {_of_partitions(keys)}"


def delete_rows_of_keys(table: str, keys_table: str, key: Sequence[str]) -> str:
    """Delete the rows whose keys stand in another table."""
    same = " and ".join(f"{table}.{quoted(name)} = keys.{quoted(name)}" for name in key)
    return f"delete from {table} using {keys_table} as keys where {same}"


def count_rows(table: str, keys: Collection[str | None] | None) -> str:
    """Count the rows of some partitions; None for all rows."""
    where = "" if keys is None else f" where {_of_partitions(keys)}"
    return f"select count(*) from {table}{where}"


def list_partitions(table: str) -> str:
    """The partitions that a table holds rows of; null for none."""
    return f"select distinct {quoted(PARTITION_COLUMN)} from {table}"


def key_table(name: str, planned: PlannedTable) -> str:
    """Make a table of a load's own for the keys of the rows that come."""
    key = set(planned.key_columns)
    columns = [column for column in planned.columns if column.name in key]
    return create_table(quoted(name), columns, ()).replace("create", "create temporary", 1)


def _of_partitions(keys: Collection[str | None]) -> str:
    column = quoted(PARTITION_COLUMN)
    named = [literal(key) for key in keys if key is not None]
    parts = [f"{column} in ({', '.join(named)})"] if named else []
    return " or ".join([*parts, *([f"{column} is null"] if None in keys else [])])


def _names(names: Iterable[str]) -> str:
    return ", ".join(quoted(name) for name in names)
