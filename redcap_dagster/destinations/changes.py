"""What a table in a database lacks, and what may be done about it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from redcap_dagster.destinations.plan import PlannedColumn, PlannedTable
from redcap_dagster.errors import ConfigError, DestinationError, name_some

SchemaChanges = Literal["add", "refuse", "replace"]
"""What a load does where a table in the database is not as the extract has it.

`add` adds new columns, leaves columns that are gone as nulls, and refuses other types and keys.
`refuse` refuses any difference. `replace` makes the table anew.
"""

_MOST_NAMES_SHOWN = 12


@dataclass(frozen=True)
class TableThere:
    """A table as it is in the database.

    Attributes:
        types: Column name → the database's type, in the table's order.
        comments: Column name → comment, "" for none.
        key_columns: Names of the columns of its primary key.
        comment: The table's comment.
    """

    types: Mapping[str, str]
    comments: Mapping[str, str]
    key_columns: frozenset[str]
    comment: str


@dataclass(frozen=True)
class TableChanges:
    """How a table in the database differs from the one that is to be loaded.

    Attributes:
        added: Columns it lacks.
        removed: Names of columns that only the database has.
        retyped: Name of each column of another type, with both types.
        has_other_key: Whether its primary key is another.
    """

    added: tuple[PlannedColumn, ...]
    removed: tuple[str, ...]
    retyped: tuple[str, ...]
    has_other_key: bool

    @property
    def can_be_added(self) -> bool:
        """Whether the table can take the rows when columns are added."""
        return not self.retyped and not self.has_other_key


def find_changes(planned: PlannedTable, there: TableThere) -> TableChanges:
    """Compare a table in the database with the one that is to be loaded."""
    types = {column.name: column.type for column in planned.columns}
    return TableChanges(
        added=tuple(column for column in planned.columns if column.name not in there.types),
        removed=tuple(name for name in there.types if name not in types),
        retyped=tuple(
            f"{name} (is {there.types[name]}, comes as {kind})"
            for name, kind in types.items()
            if there.types.get(name, kind) != kind
        ),
        has_other_key=frozenset(planned.key_columns) != there.key_columns,
    )


def must_be_replaced(table: str, changes: TableChanges, policy: SchemaChanges) -> bool:
    """Whether a table has to be made anew for the rows to fit.

    Raises:
        DestinationError: The policy does not allow what would have to be done.
    """
    is_same = changes.can_be_added and not changes.added and not changes.removed
    if policy == "replace" or is_same:
        return not is_same
    if policy == "add" and changes.can_be_added:
        return False
    raise DestinationError(
        f"Table {table} in the database is not as the extract has it: {_sentence(changes, policy)}."
        " Nothing was loaded. "
        + (
            f"To make it anew, {how_to_replace()}."
            if policy == "add"
            else "schema_changes='add' or 'replace' allow it (--schema-changes of the command)."
        )
    )


def how_to_replace() -> str:
    """What lets a load delete what it cannot bring up to date, in Python, YAML and a shell."""
    return "load with schema_changes='replace' (--schema-changes replace of the command)"


def check_policy(policy: str) -> None:
    """Refuse a policy that there is not.

    Raises:
        ConfigError: It is none of `SchemaChanges`.
    """
    known = get_args(SchemaChanges)
    if policy not in known:
        raise ConfigError(f"There is no schema_changes={policy!r}; it takes {', '.join(known)}.")


def _sentence(changes: TableChanges, policy: SchemaChanges) -> str:
    facts = {"columns of another type": changes.retyped}
    if policy == "refuse":
        facts["new columns"] = tuple(column.name for column in changes.added)
        facts["columns that are gone"] = changes.removed
    said = [f"{what} {listed(names)}" for what, names in facts.items() if names]
    return "; ".join([*said, *(["another key"] if changes.has_other_key else [])])


def listed(names: Sequence[str]) -> str:
    """Names for a message: the first dozen, and how many more."""
    return name_some(names, _MOST_NAMES_SHOWN)
