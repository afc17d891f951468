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


def list_pairs(keys_table: str, table: str, key: Sequence[str]) -> str:
    """Pairs of partitions, one of each table, that hold rows under the same key."""
    column = quoted(PARTITION_COLUMN)
    return (
        f"select distinct coming.{column}, other.{column} "
        f"from {keys_table} as coming, {table} as other "
        f"where {_same_key('coming', 'other', key)} and coming.{column} <> other.{column}"
    )


def select_shared_keys(
    keys_table: str, table: str, key: Sequence[str], partitions: tuple[str, str]
) -> str:
    """The keys that a partition of the one table has in common with one of the other."""
    return (
        f"select {', '.join(f'coming.{quoted(name)}' for name in key)} "
        f"from {keys_table} as coming, {table} as other "
        f"where {_same_key('coming', 'other', key)} and {_in_pair('coming', 'other', partitions)}"
    )


def delete_rows_of_keys(
    table: str, keys_table: str, key: Sequence[str], partitions: tuple[str, str]
) -> str:
    """Delete rows of the second partition whose keys another table lists for the first."""
    return (
        f"delete from {table} using {keys_table} as coming "
        f"where {_same_key('coming', table, key)} and {_in_pair('coming', table, partitions)}"
    )


def count_rows(table: str, keys: Collection[str | None] | None) -> str:
    """Count the rows of some partitions; None for all rows."""
    where = "" if keys is None else f" where {_of_partitions(keys)}"
    return f"select count(*) from {table}{where}"


def list_partitions(table: str) -> str:
    """The partitions that a table holds rows of; null for none."""
    return f"select distinct {quoted(PARTITION_COLUMN)} from {table}"


def key_table(name: str, planned: PlannedTable) -> str:
    """Make a table of a load's own for the keys and partitions of the rows that come."""
    key = {*planned.key_columns, PARTITION_COLUMN}
    columns = [column for column in planned.columns if column.name in key]
    return create_table(quoted(name), columns, ()).replace("create", "create temporary", 1)


def _same_key(one: str, two: str, key: Sequence[str]) -> str:
    return " and ".join(f"{one}.{quoted(name)} = {two}.{quoted(name)}" for name in key)


def _in_pair(one: str, two: str, partitions: tuple[str, str]) -> str:
    first, second = partitions
    column = quoted(PARTITION_COLUMN)
    return f"{one}.{column} = {literal(first)} and {two}.{column} = {literal(second)}"


def _of_partitions(keys: Collection[str | None]) -> str:
    column = quoted(PARTITION_COLUMN)
    named = [literal(key) for key in keys if key is not None]
    parts = [f"{column} in ({', '.join(named)})"] if named else []
    return " or ".join([*parts, *([f"{column} is null"] if None in keys else [])])


def _names(names: Iterable[str]) -> str:
    return ", ".join(quoted(name) for name in names)
