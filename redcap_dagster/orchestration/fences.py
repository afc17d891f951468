"""Up to where the project's log was read when a partition was published, kept in its manifest."""

from collections.abc import Collection

import dagster as dg

from redcap_dagster.api import RedcapClient
from redcap_dagster.export import ChangeFence
from redcap_dagster.extract import FENCE_FACT, published_fence, read_permitted_fence
from redcap_dagster.orchestration.kinds import RECORD_KINDS
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import Location


def read_step_fence(
    context: dg.AssetExecutionContext, client: RedcapClient, live: RedcapProject, study: StudyAssets
) -> ChangeFence | None:
    """Where the log stands before a step exports records; None where that cannot be told.

    One request, and none in a step that exports no records.

    Raises:
        ApiError: REDCap did not answer.
    """
    kinds = {study.props[key].kind for key in context.selected_asset_keys if key in study.props}
    if not kinds & RECORD_KINDS:
        return None
    keys = context.partition_keys if _is_partitioned(context) else [None]
    return read_permitted_fence(client, live, published_fence(study.shelf(keys[-1])))


def fence_fact(
    study: StudyAssets,
    shelf: Location,
    keys: Collection[dg.AssetKey],
    fence: ChangeFence | None,
) -> dict[str, object]:
    """What a partition's manifest says of the log.

    A run of some tables leaves the others as they were, and with them the older fence.
    """
    records = {key for key, props in study.props.items() if props.kind in RECORD_KINDS}
    kept = fence if records <= set(keys) else published_fence(shelf)
    return {} if kept is None else {FENCE_FACT: kept.to_plain()}


def _is_partitioned(context: dg.AssetExecutionContext) -> bool:
    return bool(context.has_partition_key or context.has_partition_key_range)
