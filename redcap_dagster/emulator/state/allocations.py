"""Allocation tables: which group the next record of a randomization goes to."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Allocation:
    """One line of an allocation table.

    Attributes:
        target: Value that the target field gets.
        alternate: Its alternate, such as a randomization number; "" for none.
        strata: Values that the strata fields of a record must have.
        data_access_group: Group the record must be in, where groups are a stratum; else "".
    """

    target: str
    alternate: str = ""
    strata: Mapping[str, str] = field(default_factory=dict)
    data_access_group: str = ""


@dataclass(frozen=True)
class Randomization:
    """One randomization of a project.

    Attributes:
        randomization_id: Its number on the server.
        target_field: Field that gets the target.
        target_event: Unique name of its event, "" in a classic project.
        strata_events: Field that must be filled → unique name of its event.
        is_concealed: Whether the target field holds a number and what it means is hidden.
    """

    randomization_id: int
    target_field: str
    target_event: str = ""
    strata_events: Mapping[str, str] = field(default_factory=dict)
    is_concealed: bool = False


def add_randomization(
    connection: sqlite3.Connection,
    project_id: int,
    made: Randomization,
    lines: Sequence[Allocation],
) -> None:
    """Keep a randomization and its allocation table, in the table's order."""
    connection.execute(
        "INSERT INTO randomization (randomization_id, project_id, target_field, target_event,"
        " strata_events, is_concealed) VALUES (?, ?, ?, ?, ?, ?)",
        (
            made.randomization_id,
            project_id,
            made.target_field,
            made.target_event,
            json.dumps(dict(made.strata_events)),
            made.is_concealed,
        ),
    )
    connection.executemany(
        "INSERT INTO allocation (randomization_id, position, target, alternate, strata,"
        " data_access_group) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                made.randomization_id,
                position,
                line.target,
                line.alternate,
                json.dumps(dict(line.strata), sort_keys=True),
                line.data_access_group,
            )
            for position, line in enumerate(lines)
        ],
    )


def find_randomization(
    connection: sqlite3.Connection, project_id: int, randomization_id: int
) -> Randomization | None:
    """Return a randomization of a project, or None."""
    found = connection.execute(
        "SELECT target_field, target_event, strata_events, is_concealed FROM randomization"
        " WHERE project_id = ? AND randomization_id = ?",
        (project_id, randomization_id),
    ).fetchone()
    if found is None:
        return None
    target_field, target_event, strata_events, is_concealed = found
    return Randomization(
        randomization_id, target_field, target_event, json.loads(strata_events), bool(is_concealed)
    )


def is_allocated(connection: sqlite3.Connection, randomization_id: int, record_id: str) -> bool:
    """Whether a record was randomized."""
    found = connection.execute(
        "SELECT 1 FROM allocation WHERE randomization_id = ? AND record_id = ?",
        (randomization_id, record_id),
    )
    return found.fetchone() is not None


def take_next(
    connection: sqlite3.Connection,
    randomization_id: int,
    record_id: str,
    strata: Mapping[str, str],
    data_access_group: str,
) -> Allocation | None:
    """Give a record the next free line of its strata; None when there is none left."""
    found = connection.execute(
        "SELECT position, target, alternate, data_access_group FROM allocation"
        " WHERE randomization_id = ? AND record_id = '' AND strata = ?"
        " AND data_access_group IN ('', ?) ORDER BY position LIMIT 1",
        (randomization_id, json.dumps(dict(strata), sort_keys=True), data_access_group),
    ).fetchone()
    if found is None:
        return None
    position, target, alternate, group = found
    connection.execute(
        "UPDATE allocation SET record_id = ? WHERE randomization_id = ? AND position = ?",
        (record_id, randomization_id, position),
    )
    return Allocation(target, alternate, dict(strata), group)
