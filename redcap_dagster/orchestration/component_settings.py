"""Settings of the component that are more than one word, and what they become."""

from typing import Literal

import dagster as dg
from pydantic import Field

from redcap_dagster.orchestration.partitions import (
    arm_partitions,
    data_access_group_partitions,
    event_partitions,
    record_partitions,
)
from redcap_dagster.project import RedcapProject


class GroupPartitions(dg.Model, dg.Resolvable):
    """Partitions by data access group."""

    data_access_groups: list[str] = Field(
        description="Unique group names. A partition no-group holds the records of none."
    )


class ChangeSensorSettings(dg.Model, dg.Resolvable):
    """How the sensor looks for changes."""

    minimum_interval_seconds: int = Field(default=300, description="Seconds between two looks.")
    full_every_days: float | None = Field(
        default=7, description="Days until everything is requested again; null for never."
    )


PartitionsByName = Literal["event", "arm"] | GroupPartitions


def partitions_by_name(
    project: RedcapProject, name: PartitionsByName | None, buckets: int | None
) -> dg.PartitionsDefinition[str] | None:
    """The partitions that a component names; None where it names none.

    Args:
        project: The study's design.
        name: What the records are split by beside buckets.
        buckets: Number of stable buckets.

    Raises:
        ConfigError: The project is classic and has no events or arms, or a name is none.
    """
    by_bucket = record_partitions(buckets) if buckets else None
    if name is None:
        return by_bucket
    by_name = _by_name(project, name)
    if by_bucket is None:
        return by_name
    return dg.MultiPartitionsDefinition({"part": by_name, "records": by_bucket})


def _by_name(project: RedcapProject, name: PartitionsByName) -> dg.StaticPartitionsDefinition:
    if isinstance(name, GroupPartitions):
        return data_access_group_partitions(name.data_access_groups)
    return event_partitions(project) if name == "event" else arm_partitions(project)
