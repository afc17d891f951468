"""What Dagster knows of partitions since the sensor's last look: publications, and failed runs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

_MOST_EVENTS = 1_000
"""Of one asset in a look; the others are for the next one."""
_MOST_RUNS = 100
"""Failed ones in a look, the newest."""
_CLOCKS = timedelta(minutes=5)
"""By how much the clocks of Dagster's database and of runs may differ."""

_ASSET_PARTITION = "dagster/partition"
_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class News:
    """What has become of partitions since the last look.

    A partition is compared with the log when it has been published, from where its export read the
    log: an export that was long under way may be older than what the sensor has seen.

    Attributes:
        told: Number of the newest event in which Dagster was told of a table.
        published: Keys of the partitions that were published ("" where there are no partitions).
        ended: Those of them whose run the sensor had requested, and which succeeded.
    """

    told: int
    published: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()


def read_news(
    instance: dg.DagsterInstance,
    assets: Sequence[dg.AssetKey],
    told: int | None,
    ended: Collection[str],
) -> News:
    """What Dagster was told since the last look: one question where that is nothing.

    Args:
        instance: Where to ask.
        assets: The study's tables of records.
        told: Number of the newest event of the last look; None to begin with what comes now.
        ended: Keys of the partitions whose requested run succeeded.
    """
    newest = {
        record.asset_entry.asset_key: record.asset_entry.last_materialization_storage_id or 0
        for record in instance.get_asset_records(assets)
    }
    upto = max(newest.values(), default=0)
    published = {*ended}
    for asset, number in newest.items():
        if told is None or number <= told:
            continue
        events = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset, after_storage_id=told), limit=_MOST_EVENTS, ascending=True
        ).records
        published |= {event.partition_key or "" for event in events}
        if len(events) == _MOST_EVENTS:
            upto = min(upto, events[-1].storage_id)
    return News(upto, frozenset(published), frozenset(ended))


def partitions_of_failed_runs(
    instance: dg.DagsterInstance,
    assets: Collection[dg.AssetKey],
    keys: Sequence[str | None],
    since: datetime,
) -> dict[str, datetime]:
    """Partitions of runs that failed, which may have published, and when the run was made.

    One question; the oldest run of each partition counts.

    Args:
        instance: Where to ask.
        assets: The study's tables of records.
        keys: The study's partition keys; `[None]` where it has none.
        since: When the last look was.
    """
    records = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
            updated_after=since - _CLOCKS,
        ),
        limit=_MOST_RUNS,
    )
    made: dict[str, datetime] = {}
    for record in records:  # newest first
        run = record.dagster_run
        # Without a selection it is all assets of a job, which may be these.
        if not run.asset_selection or not run.asset_selection.isdisjoint(assets):
            for key in _partitions_of(run, keys):
                made[key or ""] = record.create_timestamp - _CLOCKS
    return made


def _partitions_of(run: dg.DagsterRun, keys: Sequence[str | None]) -> Sequence[str | None]:
    if keys == [None]:
        return keys
    start, end = run.tags.get(_RANGE_START), run.tags.get(_RANGE_END)
    if start in keys and end in keys:
        return keys[keys.index(start) : keys.index(end) + 1]
    key = run.tags.get(_ASSET_PARTITION)
    return [key] if key in keys else []
