"""Warns of records that no partition of a study holds."""

from collections import Counter
from collections.abc import Sequence

import dagster as dg

from redcap_dagster.api import RedcapClient
from redcap_dagster.export import read_row_list
from redcap_dagster.orchestration.partitions import groups_without_partition, is_by_group
from redcap_dagster.project import RedcapProject


def warn_of_other_groups(
    context: dg.AssetExecutionContext,
    client: RedcapClient,
    project: RedcapProject,
    partition_keys: Sequence[str],
) -> None:
    """Warn of records in data access groups that no partition selects: one request.

    Asks nothing where the partitions are not by group.

    Args:
        context: Is warned.
        client: Where to ask.
        project: The design as it is now.
        partition_keys: Every partition of the study.

    Raises:
        ApiError: REDCap did not answer, refused, or sent something else.
        ExportError: REDCap does not say in which groups the records are.
    """
    if not is_by_group(partition_keys):
        return
    rows = read_row_list(client, project, with_groups=True)
    counts = groups_without_partition(Counter(rows.groups or ()), partition_keys)
    if counts:
        context.log.warning(
            "%d records are in no partition, as theirs is not defined: %s. Give "
            "data_access_group_partitions every group of the project.",
            sum(counts.values()),
            ", ".join(f"{group or 'no data access group'} ({n})" for group, n in counts.items()),
        )
