"""Schedules of a study: one for each way in which its assets are cut into partitions."""

from collections.abc import Iterator, Sequence

import dagster as dg

_MOST_DAYS_AT_ONCE = 31


def build_study_schedules(
    assets: dg.AssetsDefinition, cron: str, name: str
) -> Iterator[dg.ScheduleDefinition]:
    """Schedules that together materialize the whole study.

    A run has partitions of one kind, so there is a schedule for the study's own tables, one for
    the partitions of the records, which requests them all, and one for the days of the log and of
    changes: one each, where they begin on different days.

    Args:
        assets: The study.
        cron: When.
        name: Of the schedule of the records or, without partitions, of everything; the others'
            names begin with it.
    """
    keys: dict[dg.PartitionsDefinition[str] | None, list[dg.AssetKey]] = {}
    for spec in assets.specs:
        keys.setdefault(spec.partitions_def, []).append(spec.key)
    whole = keys.pop(None, [])
    daily = [item for item in keys if isinstance(item, dg.TimeWindowPartitionsDefinition)]
    has_parts = len(daily) < len(keys)
    if whole:
        yield dg.ScheduleDefinition(
            name=f"{name}_whole_tables" if has_parts else name,
            target=dg.AssetSelection.assets(*whole),
            cron_schedule=cron,
        )
    for partitions, own in keys.items():
        if isinstance(partitions, dg.TimeWindowPartitionsDefinition):
            suffix = "_days" if len(daily) == 1 else f"_days_of_{own[0].path[-1]}"
            yield _schedule_of_days(partitions, own, cron, f"{name}{suffix}")
        elif partitions is not None:
            yield _schedule_of_parts(partitions, own, cron, name)


def _schedule_of_parts(
    partitions: dg.PartitionsDefinition[str], keys: Sequence[dg.AssetKey], cron: str, name: str
) -> dg.ScheduleDefinition:
    @dg.schedule(name=name, target=dg.AssetSelection.assets(*keys), cron_schedule=cron)
    def parts(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        wanted = partitions.get_partition_keys(dynamic_partitions_store=context.instance)
        return [_request(context, key) for key in wanted]

    return parts


def _schedule_of_days(
    partitions: dg.TimeWindowPartitionsDefinition,
    keys: Sequence[dg.AssetKey],
    cron: str,
    name: str,
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        target=dg.AssetSelection.assets(*keys),
        cron_schedule=cron,
        description="Every day that is over and was not materialized yet, the oldest first, "
        f"{_MOST_DAYS_AT_ONCE} at once.",
    )
    def days(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        done = set.intersection(
            *(set(context.instance.get_materialized_partitions(key)) for key in keys)
        )
        over = partitions.get_partition_keys(current_time=context.scheduled_execution_time)
        missing = [key for key in over if key not in done][:_MOST_DAYS_AT_ONCE]
        if not missing:
            return dg.SkipReason("Every day that is over is there.")
        return [_request(context, key) for key in missing]

    return days


def _request(context: dg.ScheduleEvaluationContext, key: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{key}-{context.scheduled_execution_time:%Y%m%dT%H%M%S}", partition_key=key
    )
