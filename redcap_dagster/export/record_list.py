"""The list of a study's records: ids, and the data access group each is in."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ExportError
from redcap_dagster.project import RedcapProject

_GROUP_COLUMN = "redcap_data_access_group"


def read_record_groups(
    client: RedcapClient, project: RedcapProject, *, events: Sequence[str] | None = None
) -> Mapping[str, str]:
    """Every record id the token can see with its data access group, "" for none.

    Args:
        client: Where to ask.
        project: The study's design.
        events: Only records that have a row in one of these events; None for all.

    Returns:
        Each id once, in the server's order.

    Raises:
        ApiError: REDCap did not answer, refused, or sent something else.
        ExportError: REDCap does not say in which groups the records are.
    """
    groups: dict[str, str] = {}
    rows = client.export_records(
        fields=_id_fields(project), events=events, export_data_access_groups=True
    )
    for row in rows:
        if _GROUP_COLUMN not in row:
            raise ExportError(
                "REDCap does not say in which data access groups the records are: the project has "
                "no groups, or the token's user sits in one. Use a token whose user is in no "
                "group, or partitions of another kind."
            )
        record_id = row[project.record_id_field]
        groups[record_id] = groups.get(record_id) or row[_GROUP_COLUMN]
    return groups


def read_record_ids_of_events(
    client: RedcapClient,
    project: RedcapProject,
    events: Sequence[str] | None,
    *,
    changed_since: datetime | None = None,
) -> tuple[str, ...]:
    """Ids of the records that have a row in one of some events, in the server's order.

    Args:
        client: Where to ask.
        project: The study's design.
        events: Unique names of the events; None for all.
        changed_since: Only records that were created or changed after this moment of the server's
            local time; None for all.

    Raises:
        ApiError: REDCap did not answer, refused, or sent something else.
    """
    rows = client.export_records(
        fields=_id_fields(project), events=events, date_range_begin=changed_since
    )
    return tuple(dict.fromkeys(row[project.record_id_field] for row in rows))


def _id_fields(project: RedcapProject) -> list[str]:
    # A record of which only repeating instances are stored has no row of its own.
    repeating = sorted({rule.instrument for rule in project.repeats if rule.instrument})
    return [project.record_id_field, *(f"{name}_complete" for name in repeating)]
