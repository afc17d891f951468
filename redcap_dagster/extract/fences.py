"""Up to where the project's log was read when an extract was published, kept in its manifest."""

from redcap_dagster.errors import TableError
from redcap_dagster.export import ChangeFence
from redcap_dagster.tables import Location, PublishedExtract, find_extract

FENCE_FACT = "change_fence"
"""The manifest's entry."""


def published_fence(shelf: Location) -> ChangeFence | None:
    """The fence of what is published on a shelf; None without one.

    Raises:
        TableError: The manifest's fence cannot be read.
    """
    extract = find_extract(shelf)
    return None if extract is None else fence_of(extract)


def fence_of(extract: PublishedExtract) -> ChangeFence | None:
    """The fence of an extract; None without one.

    Raises:
        TableError: The manifest's fence cannot be read.
    """
    plain = extract.facts.get(FENCE_FACT)
    if plain is None:
        return None
    try:
        return ChangeFence.from_plain(plain)
    except (ValueError, AttributeError) as error:
        raise TableError(
            f"The manifest in {extract.path} has a log fence that cannot be read."
        ) from error
