"""Partitions of a study's records."""

import re
from collections.abc import Sequence

import dagster as dg

from redcap_dagster.errors import ConfigError
from redcap_dagster.export import record_bucket

_BUCKET_KEY = re.compile(r"bucket-(\d+)-of-(\d+)")


def record_partitions(buckets: int) -> dg.StaticPartitionsDefinition:
    """Partitions that split a study's records into stable hash buckets.

    A record's bucket depends on its id and the number of buckets alone, so it never moves, and
    records that appear later fall into the buckets that are there. Each bucket is exported,
    written and published by itself. The number stands in every key (`bucket-03-of-16`), so tables
    made with another number are never mistaken for these.

    Args:
        buckets: How many partitions, 1 to 10,000. A good size is 1,000 to 20,000 records each.

    Raises:
        ConfigError: The number is out of range.
    """
    if not 1 <= buckets <= 10_000:  # noqa: PLR2004 - the documented range
        raise ConfigError("record_partitions takes 1 to 10,000 buckets.")
    width = len(str(buckets - 1))
    return dg.StaticPartitionsDefinition(
        [f"bucket-{number:0{width}d}-of-{buckets}" for number in range(buckets)]
    )


def records_in_partition(record_ids: Sequence[str], partition_key: str | None) -> tuple[str, ...]:
    """The record ids that a partition holds, in the order given; all of them for None.

    Raises:
        ConfigError: The key is not one of `record_partitions`.
    """
    if partition_key is None:
        return tuple(record_ids)
    match = _BUCKET_KEY.fullmatch(partition_key)
    if match is None:
        raise ConfigError(
            f"The partition key {partition_key!r} is not one of record_partitions "
            "(bucket-03-of-16). REDCap assets take no other partitions."
        )
    number, buckets = int(match[1]), int(match[2])
    return tuple(item for item in record_ids if record_bucket(item, buckets) == number)
