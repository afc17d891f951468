"""Whose rows a table in a database holds, and how they were de-identified. Pure.

The last sentence of the table's comment says it, in the transaction that loads the rows.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from redcap_dagster.destinations.changes import listed
from redcap_dagster.errors import DestinationError
from redcap_dagster.tables import PublishedExtract, how_deidentified

_BEGINNING = "Loaded by redcap-dagster from REDCap project"
_PROJECT_AND_REST = re.compile(r" ([^\s,.]+)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Origin:
    """Where the rows of a table come from.

    Attributes:
        project_id: The REDCap project.
        deidentification: What was done to them, as the comment says it; "" where it does not, as
            in tables that were loaded before comments did.
    """

    project_id: str
    deidentification: str

    @property
    def sentence(self) -> str:
        """The last sentence of the comment."""
        return f"{_BEGINNING} {self.project_id}, {self.deidentification}."


def origin_of(extract: PublishedExtract) -> Origin:
    """Where the rows of an extract come from, by its manifest."""
    fact = how_deidentified(extract.facts)
    return Origin(
        str(extract.facts.get("project_id", "unknown")),
        "not de-identified"
        if fact is None
        else f"de-identified: {json.dumps(fact, sort_keys=True)}",
    )


def read_origin(comment: str) -> Origin | None:
    """What a table's comment says of its rows; None where no load made it."""
    _, beginning, rest = comment.rpartition(_BEGINNING)
    found = _PROJECT_AND_REST.fullmatch(rest) if beginning else None
    return found and Origin(found[1], found[2].removeprefix(", ").removesuffix("."))


def check_alike(schema: str, comments: Mapping[str, str], coming: Collection[Origin]) -> None:
    """Make sure that a schema holds no study de-identified in two ways.

    All tables of the study are looked at, also those that are not loaded now: whoever may read one
    may mostly read the others, and tell who is who.

    Args:
        schema: Name of the schema.
        comments: The comment of every table in it.
        coming: Where the rows come from that are to be loaded.

    Raises:
        DestinationError: The rows that come were de-identified in different ways, or otherwise
            than those that are there, or these do not say how.
    """
    ways = {origin.project_id: origin for origin in coming}
    if not set(coming) <= set(ways.values()):
        raise DestinationError(
            "The extracts to load were not all de-identified in the same way, with the same key. "
            "Nothing was loaded. Materialize the whole study again."
        )
    there = {name: read_origin(comment) for name, comment in sorted(comments.items())}
    ours = {name: found for name, found in there.items() if found and found.project_id in ways}
    silent = [name for name, origin in ours.items() if not origin.deidentification]
    if silent:
        raise DestinationError(
            f"The comments of tables in the schema {schema} do not say whether they were "
            f"de-identified: {listed(silent)}. Nothing was loaded. Drop them, or load into "
            "another schema. docs/destinations.md says how to keep them."
        )
    other = [name for name, origin in ours.items() if origin != ways[origin.project_id]]
    if other:
        raise DestinationError(
            f"The schema {schema} has tables of this study that were de-identified otherwise, with "
            f"another key, or not at all: {listed(other)}. Nothing was loaded. Load into "
            "another schema, or drop them."
        )
