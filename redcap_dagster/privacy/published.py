"""What a manifest says of de-identification, and which extracts may not follow each other."""

from collections.abc import Collection
from typing import Any

from redcap_dagster.errors import ConfigError
from redcap_dagster.privacy.screen import Deidentifier
from redcap_dagster.tables import (
    DEIDENTIFICATION_FACT,
    Location,
    PublishedExtract,
    how_deidentified,
)


def deidentification_fact(deidentifier: Deidentifier | None) -> dict[str, Any]:
    """What the manifest says of it: options and names of fields; nothing without it."""
    return {} if deidentifier is None else {DEIDENTIFICATION_FACT: deidentifier.facts()}


def tables_that_may_stay(
    shelf: Location,
    last: PublishedExtract | None,
    deidentifier: Deidentifier | None,
    known_tables: Collection[str],
) -> Collection[str]:
    """Which tables of the last extract of a shelf may stand beside the new ones.

    None of them where other fields are left out or shifted than in the last extract, as when one
    was flagged as an identifier since.

    Raises:
        ConfigError: The last extract was de-identified otherwise, with another key, or not at
            all: its tables and the new ones must not be mixed.
    """
    if last is None:
        return known_tables
    now = deidentification_fact(deidentifier)
    if how_deidentified(last.facts) != how_deidentified(now):
        raise ConfigError(
            f"What is published in {shelf} was de-identified otherwise, with another key, or not "
            "at all. Publish into another folder (out_dir), or remove that one and materialize "
            "the whole study."
        )
    is_same = last.facts.get(DEIDENTIFICATION_FACT) == now.get(DEIDENTIFICATION_FACT)
    return known_tables if is_same else ()
