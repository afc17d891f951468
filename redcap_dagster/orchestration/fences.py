"""Up to where the project's log was read when a partition was published, kept in its manifest."""

from collections.abc import Collection

import dagster as dg

from redcap_dagster.export import ChangeFence
from redcap_dagster.extract import FENCE_FACT, published_fence
from redcap_dagster.orchestration.kinds import RECORD_KINDS
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.tables import Location


def fence_fact(
    study: StudyAssets,
    shelf: Location,
    keys: Collection[dg.AssetKey],
    fence: ChangeFence | None,
) -> dict[str, object]:
    """What a partition's manifest says of the log.

    A run of some tables leaves the others as they were, and with them the older fence. That is its
    own, where a newer run has published since it read REDCap.
    """
    records = {key for key, props in study.props.items() if props.kind in RECORD_KINDS}
    kept = fence if records <= set(keys) else _older(fence, published_fence(shelf))
    return {} if kept is None else {FENCE_FACT: kept.to_plain()}


def _older(own: ChangeFence | None, published: ChangeFence | None) -> ChangeFence | None:
    """What both have seen; none where the published tables have no fence."""
    if own is None or published is None or own.newest > published.newest:
        return published
    if own.newest < published.newest:
        return own
    seen = {digest: min(count, published.seen.get(digest, 0)) for digest, count in own.seen.items()}
    return ChangeFence(own.newest, seen)
