"""Up to where the project's log was read when an extract was published, kept in its manifest."""

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import RequestRejectedError, TableError
from redcap_dagster.export import ChangeFence, read_fence
from redcap_dagster.project import RedcapProject
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


def read_permitted_fence(
    client: RedcapClient, project: RedcapProject, last: ChangeFence | None
) -> ChangeFence | None:
    """Where the log stands now; None where the token's user may not read it. One request.

    Raises:
        ApiError: REDCap did not answer.
        ExportError: The log is empty where it cannot be.
    """
    try:
        return read_fence(client, project, last)
    except RequestRejectedError as error:
        if error.reason != "not_permitted":
            raise
        return None
