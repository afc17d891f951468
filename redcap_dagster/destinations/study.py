"""Everything that is published of a study, loaded at once: its own tables and its partitions."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from upath import UPath

from redcap_dagster.destinations.changes import SchemaChanges
from redcap_dagster.destinations.destination import Destination
from redcap_dagster.destinations.load import LoadedTable, TableLoad, load_tables
from redcap_dagster.errors import TableError
from redcap_dagster.tables import PublishedExtract, current_extract, find_shelves

_BUCKET = re.compile(r"bucket-(\d+)-of-(\d+)")
"""In the key of a partition, as `record_partitions` makes them."""


def load_study(
    place: str | Path | UPath,
    destination: Destination,
    *,
    tables: Collection[str] | None = None,
    schema_changes: SchemaChanges = "add",
    allow_part: bool = False,
) -> tuple[LoadedTable, ...]:
    """Load what readers see of a study now, in one transaction.

    Args:
        place: Where the study is published, with or without partitions.
        destination: Where to load it.
        tables: Names of the tables to load; None for all.
        schema_changes: What may be done where a table in the database is different.
        allow_part: Whether an extract of a part of the study may be loaded: rows that are not in it
            go from its tables.

    Returns:
        Every table that was loaded, by name.

    Raises:
        TableError: Nothing is published there, several studies, no such table, or a part of a
            study only.
        DestinationError: It could not be loaded; the database is as it was.
        ConfigError: The driver is not installed, or there is no such `schema_changes`.
    """
    extracts = [current_extract(shelf) for shelf in find_shelves(place)]
    if not extracts:
        raise TableError(f"Nothing has been published in {place}. Export the study first.")
    _refuse_several_studies(place, extracts)
    if not allow_part and any(_is_part(extract) for extract in extracts):
        raise TableError(
            f"{place} holds a part of a study (its manifest says which). Loaded, it would take the "
            "place of whole tables. Load the whole study; or load the part into a schema of its "
            "own, with --part (in Python allow_part=True)."
        )
    found = _by_table(extracts)
    lacking = _lacking_buckets(found)
    if lacking and not allow_part:
        raise TableError(
            f"{place} holds a part of a study: {', '.join(lacking)} were never "
            "published. "
            "Materialize them; or load what is there with --part (in Python allow_part=True)."
        )
    unknown = sorted(set(tables or ()) - found.keys())
    if unknown:
        raise TableError(
            f"There is no table {', '.join(unknown)} in {place}. It has: "
            f"{', '.join(sorted(found))}."
        )
    loads = [
        TableLoad(name, parts, partition_keys=frozenset(key for key in parts if key is not None))
        for name, parts in found.items()
        if tables is None or name in tables
    ]
    return load_tables(loads, destination, schema_changes=schema_changes)


def _refuse_several_studies(
    place: str | Path | UPath, extracts: Collection[PublishedExtract]
) -> None:
    """Refuse a folder of several studies' folders: of tables of one name, one would be loaded."""
    studies = {item.facts.get("project_id") for item in extracts}
    wholes = [item for item in extracts if item.facts.get("partition") is None]
    if len(studies) > 1 or len(wholes) > 1:
        raise TableError(
            f"{place} holds more than one study, or one study more than once. Load each from its "
            "own folder, with no other's inside, into a schema of its own."
        )


def _is_part(extract: PublishedExtract) -> bool:
    """Whether somebody asked for a part."""
    request = extract.facts.get("request")
    return request is not None and not request["is_whole"]


def _by_table(
    extracts: Collection[PublishedExtract],
) -> dict[str, dict[str | None, PublishedExtract]]:
    """The extracts that each table is in, by partition.

    A table that is in partitions is no longer read from the study's own extract, which may hold it
    from the time before.
    """
    found: dict[str, dict[str | None, PublishedExtract]] = {}
    for extract in extracts:
        for name in extract.tables:
            found.setdefault(name, {})[extract.facts.get("partition")] = extract
    for parts in found.values():
        if len(parts) > 1:
            parts.pop(None, None)
    return found


def _lacking_buckets(found: Mapping[str, Mapping[str | None, PublishedExtract]]) -> list[str]:
    """How many buckets are not published, where others of them are.

    How many there are stands in each bucket's name. Of other partitions it is not known which
    there should be.
    """
    by_count: dict[int, set[int]] = {}
    for key in {key for parts in found.values() for key in parts}:
        if match := _BUCKET.search(key or ""):
            by_count.setdefault(int(match[2]), set()).add(int(match[1]))
    if any(len(numbers) == count for count, numbers in by_count.items()):
        return []  # the others are left from the time before
    return [
        f"{count - len(numbers)} of the {count:,} buckets" for count, numbers in by_count.items()
    ]
