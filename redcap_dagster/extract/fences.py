"""Up to where the project's log was read when an extract was published, kept in its manifest."""

from redcap_dagster.errors import TableError
from redcap_dagster.export import ChangeFence
from redcap_dagster.tables import Location, current_extract, has_extract

FENCE_FACT = "change_fence"
"""The manifest's entry."""


def published_fence(shelf: Location) -> ChangeFence | None:
    """The fence of what is published on a shelf; None without one.

    Raises:
        TableError: The manifest's fence cannot be read.
    """
    plain = current_extract(shelf).facts.get(FENCE_FACT) if has_extract(shelf) else None
    if plain is None:
        return None
    try:
        return ChangeFence.from_plain(plain)
    except (ValueError, AttributeError) as error:
        raise TableError(f"The manifest in {shelf} has a log fence that cannot be read.") from error
