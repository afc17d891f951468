"""Tags of runs."""

from collections.abc import Sequence


def in_one_run(partition_keys: Sequence[str]) -> dict[str, str]:
    """Tags of one run of several partitions; it costs little more than a run of one."""
    return {
        "dagster/asset_partition_range_start": partition_keys[0],
        "dagster/asset_partition_range_end": partition_keys[-1],
    }
