"""What a published table becomes in a database: names, types, key and comments. Pure."""

import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from redcap_dagster.errors import DestinationError

PARTITION_COLUMN = "redcap_partition"
"""Name of the column that says which partition a row was loaded with."""

PARTITION_COMMENT = "Partition of the study"
"""How the comment of that column begins."""

_KEY_FACT = b"redcap.key_columns"
_LABEL_FACT = b"redcap.label"
_DESCRIPTION_FACT = b"redcap.description"
_DIGITS = 8


@dataclass(frozen=True)
class Limits:
    """What a kind of database can hold.

    Attributes:
        database: Its name, for a person.
        types: Arrow type → the database's type, spelt as the database itself says it.
        longest_name: Most bytes of a name; None for no limit.
        most_columns: Most columns of a table; None for no limit.
    """

    database: str
    types: Mapping[pa.DataType, str]
    longest_name: int | None = None
    most_columns: int | None = None


@dataclass(frozen=True)
class PlannedColumn:
    """One column of a table in a database.

    Attributes:
        name: Its name there.
        source: Its name in the published table; "" for the partition.
        type: The database's type.
        comment: What it holds, for a person; "" where nothing is known.
    """

    name: str
    source: str
    type: str
    comment: str


@dataclass(frozen=True)
class PlannedTable:
    """One table in a database.

    Attributes:
        name: Its name there.
        columns: In the published table's order; the partition comes last.
        key_columns: Names of the columns of the primary key; empty for a table without.
        comment: What it holds, for a person.
    """

    name: str
    columns: tuple[PlannedColumn, ...]
    key_columns: tuple[str, ...]
    comment: str

    @property
    def is_partitioned(self) -> bool:
        """Whether its rows say which partition they belong to."""
        return any(column.name == PARTITION_COLUMN for column in self.columns)

    def with_partition_comment(self, comment: str) -> "PlannedTable":
        """The same, with another comment on the column of the partition."""
        columns = [
            replace(column, comment=comment) if column.name == PARTITION_COLUMN else column
            for column in self.columns
        ]
        return replace(self, columns=tuple(columns))


def plan_table(
    name: str,
    schema: pa.Schema,
    limits: Limits,
    *,
    is_partitioned: bool = False,
) -> PlannedTable:
    """Plan the table that a published one becomes.

    Args:
        name: Name of the published table.
        schema: Its Arrow schema, with the facts that `docs/tables.md` lists.
        limits: What the database can hold.
        is_partitioned: Whether rows shall say which partition they belong to.

    Raises:
        DestinationError: The database cannot hold such a table.
    """
    _check_columns(name, schema, limits, is_partitioned=is_partitioned)
    facts = schema.metadata or {}
    stated: list[str] = json.loads(facts.get(_KEY_FACT, b"[]"))
    columns = [_plan_column(name, field, limits) for field in schema]
    if is_partitioned:
        text = limits.types[pa.string()]
        columns.append(PlannedColumn(PARTITION_COLUMN, "", text, PARTITION_COMMENT))
    return PlannedTable(
        name=fitting_name(name, limits.longest_name),
        columns=tuple(columns),
        key_columns=tuple(fitting_name(column, limits.longest_name) for column in stated),
        comment=plain_text(facts.get(_LABEL_FACT, b"").decode()) or name,
    )


def fitting_name(name: str, longest: int | None) -> str:
    """A name cut to what a database holds, and still told apart from others.

    A name that is too long ends in `_` and eight digits of its SHA-256.

    Examples:
        >>> fitting_name("age", 63), fitting_name("a" * 64, 63)[-10:]
        ('age', 'a_ffe054fe')
    """
    if longest is None or len(name.encode()) <= longest:
        return name
    digits = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    start = name.encode()[: longest - _DIGITS - 1].decode(errors="ignore")
    return f"{start}_{digits}"


def plain_text(label: str) -> str:
    """A label of the data dictionary without HTML and line breaks."""
    text = html.unescape(re.sub(r"<[^<>]*>", " ", label)).replace("\0", "")
    return re.sub(r"\s+", " ", text).strip()


def value_type(field: pa.Field) -> pa.DataType:
    """The type of a column's values; categories are the text they stand for."""
    return field.type.value_type if pa.types.is_dictionary(field.type) else field.type


def _plan_column(table: str, field: pa.Field, limits: Limits) -> PlannedColumn:
    kind = value_type(field)
    if kind not in limits.types:
        raise DestinationError(
            f"Column {field.name} of table {table} is of type {kind}, which cannot be loaded into "
            f"{limits.database}. Leave the table out."
        )
    facts = field.metadata or {}
    name = fitting_name(field.name, limits.longest_name)
    comment = plain_text(facts.get(_DESCRIPTION_FACT, b"").decode())
    if name != field.name:
        comment = f"{field.name}: {comment}" if comment else field.name
    return PlannedColumn(name, field.name, limits.types[kind], comment)


def _check_columns(name: str, schema: pa.Schema, limits: Limits, *, is_partitioned: bool) -> None:
    if is_partitioned and PARTITION_COLUMN in schema.names:
        raise DestinationError(
            f"Table {name} has a column {PARTITION_COLUMN}, which is the name of the column that "
            "says which partition a row belongs to. Rename the field, or load it unpartitioned."
        )
    count = len(schema) + is_partitioned
    if limits.most_columns is not None and count > limits.most_columns:
        raise DestinationError(
            f"Table {name} has {count} columns, and {limits.database} holds {limits.most_columns} "
            "in a table. Leave it out by naming the tables to load."
        )
