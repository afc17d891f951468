"""Which record ids a partition holds, as REDCap lists them now."""

from collections.abc import Sequence

import dagster as dg

from redcap_dagster.api import RedcapClient
from redcap_dagster.export import read_record_groups, read_record_ids, read_record_ids_of_events
from redcap_dagster.orchestration.partitions import RecordSelection, groups_without_partition
from redcap_dagster.project import RedcapProject


def select_record_ids(
    context: dg.AssetExecutionContext,
    client: RedcapClient,
    project: RedcapProject,
    selection: RecordSelection,
    partition_keys: Sequence[str],
) -> tuple[str, ...]:
    """Ids of the records of a partition, in the server's order: one request.

    Args:
        context: Is warned of records that are in no partition at all.
        client: Where to ask.
        project: The design as it is now.
        selection: What the partition holds.
        partition_keys: Every partition of the study; () without partitions.

    Raises:
        ApiError: REDCap did not answer, refused, or sent something else.
        ExportError: REDCap does not say in which groups the records are.
    """
    if selection.events == ():
        return ()  # its event or arm is gone; no list of events would mean all of them
    if selection.data_access_group is not None:
        groups = read_record_groups(client, project, events=selection.events)
        _warn_of_groups(context, groups_without_partition([*groups.values()], partition_keys))
        return tuple(name for name, group in groups.items() if selection.holds(name, group))
    if selection.events is not None:
        record_ids = read_record_ids_of_events(client, project, selection.events)
    else:
        record_ids = read_record_ids(client, project)
    return tuple(name for name in record_ids if selection.holds(name, None))


def _warn_of_groups(context: dg.AssetExecutionContext, counts: dict[str, int]) -> None:
    if counts:
        context.log.warning(
            "%d records are in no partition, as theirs is not defined: %s. Give "
            "data_access_group_partitions every group of the project.",
            sum(counts.values()),
            ", ".join(f"{group or 'no data access group'} ({n})" for group, n in counts.items()),
        )
