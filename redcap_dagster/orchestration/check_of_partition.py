"""The result of an asset check for one partition, in a run of several."""

from typing import Any, get_args, get_type_hints

import dagster as dg


def evaluation_of_partition(
    context: dg.AssetExecutionContext, result: dg.AssetCheckResult, partition_key: str
) -> dg.AssetCheckEvaluation:
    """What Dagster makes of a result itself in a run of one partition.

    In a run of several it would keep a result for none of them, as a result names no partition.

    Args:
        context: Of the step that has the partition among its own.
        result: With its asset and the name of the check.
        partition_key: The partition, whose last materialization is what was checked.
    """
    key, name = result.asset_key, result.check_name
    if key is None or name is None:
        raise ValueError("A check's result needs its asset and its name.")
    blocking = {spec.key: spec.blocking for spec in context.assets_def.check_specs}
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=name,
        passed=result.passed,
        metadata=result.metadata,
        target_materialization_data=_last_materialization(context.instance, key, partition_key),
        severity=result.severity,
        description=result.description,
        blocking=blocking[dg.AssetCheckKey(key, name)],
        partition=partition_key,
    )


def _last_materialization(
    instance: dg.DagsterInstance, key: dg.AssetKey, partition_key: str
) -> Any:
    """Without it Dagster's page takes a result for one of an older materialization."""
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition_key]), limit=1
    ).records
    if not found:
        return None
    # Dagster 1.13 gives this class no public name, only a place in that of a public one.
    (target, _) = get_args(get_type_hints(dg.AssetCheckEvaluation)["target_materialization_data"])
    return target(
        storage_id=found[0].storage_id,
        run_id=found[0].event_log_entry.run_id,
        timestamp=found[0].timestamp,
    )
