"""Which records an extract asks for."""

from collections.abc import Sequence

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError
from redcap_dagster.export import read_record_ids, read_record_ids_of_events
from redcap_dagster.extract.request import ExtractRequest
from redcap_dagster.project import RedcapProject

_MOST_PLACES_SHOWN = 10


def select_record_ids(
    client: RedcapClient, project: RedcapProject, request: ExtractRequest
) -> tuple[str, ...]:
    """Ids of the records that a request asks for, each once, in the server's order.

    Raises:
        ApiError: REDCap did not answer, or refused.
        ConfigError: A record that is asked for by its id is not there.
    """
    known = _read_ids(client, project, request)
    if request.record_ids is None:
        return known
    is_narrowed = request.events is not None or request.changed_since is not None
    _refuse_unknown(request.record_ids, read_record_ids(client, project) if is_narrowed else known)
    wanted = set(request.record_ids)
    return tuple(record_id for record_id in known if record_id in wanted)


def _read_ids(
    client: RedcapClient, project: RedcapProject, request: ExtractRequest
) -> tuple[str, ...]:
    if request.changed_since is not None:
        return read_record_ids_of_events(
            client, project, request.events, changed_since=request.changed_since
        )
    if request.events is not None:
        return read_record_ids_of_events(client, project, request.events)
    return read_record_ids(client, project)


def _refuse_unknown(asked: Sequence[str], known: Sequence[str]) -> None:
    there = set(known)
    places = [place for place, record_id in enumerate(asked, 1) if record_id not in there]
    if not places:
        return
    shown = ", ".join(map(str, places[:_MOST_PLACES_SHOWN]))
    more = len(places) - _MOST_PLACES_SHOWN
    raise ConfigError(
        f"{len(places)} of the {len(asked)} records asked for are not in the study, or the token "
        f"cannot see them: in the order given, number {shown}"
        + (f" and {more} more." if more > 0 else ".")
    )
