"""What of a study's records an extract asks for."""

from collections.abc import Sequence

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import UnknownRecordsError
from redcap_dagster.export import RecordSelection, read_row_list
from redcap_dagster.extract.request import ExtractRequest
from redcap_dagster.project import RedcapProject


def select_records(
    client: RedcapClient, project: RedcapProject, request: ExtractRequest
) -> RecordSelection:
    """The records that a request asks for: one request, where it names them.

    Raises:
        ApiError: REDCap did not answer, or refused.
        UnknownRecordsError: A record that is asked for by its id is not there.
    """
    if request.record_ids is not None:
        named = RecordSelection(record_ids=frozenset(request.record_ids))
        _refuse_unknown(request.record_ids, read_row_list(client, project, named).record_ids)
    return RecordSelection(
        events=request.events,
        record_ids=None if request.record_ids is None else frozenset(request.record_ids),
        changed_since=request.changed_since,
    )


def _refuse_unknown(asked: Sequence[str], known: Sequence[str]) -> None:
    there = set(known)
    places = [place for place, record_id in enumerate(asked, 1) if record_id not in there]
    if places:
        raise UnknownRecordsError(places, len(asked), "in the order given, number")
