"""Partitions of a study's records: by stable bucket, data access group, event, arm, or two of them.

A key says by itself what it selects (`bucket-03-of-16`, `group-north`, `event-visit_1_arm_1`,
`arm-2`), so partitions can be crossed in either order, and dynamic partitions work with the same
keys.
"""

import re
from collections.abc import Mapping, Sequence

import dagster as dg

from redcap_dagster.errors import ConfigError
from redcap_dagster.export import RecordSelection
from redcap_dagster.project import RedcapProject

_BUCKET_KEY = re.compile(r"bucket-(\d+)-of-(\d+)")
_GROUP, _EVENT, _ARM = "group-", "event-", "arm-"
NO_GROUP = "no-group"
"""Partition key of the records that are in no data access group."""


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
    if not isinstance(buckets, int):
        raise ConfigError("record_partitions takes the number of buckets, as in 16.")
    if not 1 <= buckets <= 10_000:  # noqa: PLR2004 - the documented range
        raise ConfigError("record_partitions takes 1 to 10,000 buckets.")
    return dg.StaticPartitionsDefinition([bucket_key(number, buckets) for number in range(buckets)])


def bucket_key(number: int, buckets: int) -> str:
    """The partition key of one bucket."""
    return f"bucket-{number:0{len(str(buckets - 1))}d}-of-{buckets}"


def data_access_group_partitions(
    groups: Sequence[str], *, records_in_no_group: bool = True
) -> dg.StaticPartitionsDefinition:
    """A partition for each data access group: the records that are in it when it is exported.

    The names are given, not asked for: definitions load with REDCap down, and a snapshot holds no
    groups. A run warns when records are in a group that has no partition.

    Args:
        groups: Unique group names, as in the column `redcap_data_access_group`.
        records_in_no_group: Whether there is a partition `no-group` for the others.

    Raises:
        ConfigError: A name is no unique group name, or is given twice.
    """
    wrong = sorted(name for name in groups if not re.fullmatch(r"[a-z0-9_]+", name))
    if wrong or len(set(groups)) != len(groups):
        raise ConfigError(
            "data_access_group_partitions takes unique group names, each once (letters a to z, "
            f"digits and _){': not ' + ', '.join(wrong) if wrong else ''}."
        )
    return dg.StaticPartitionsDefinition(
        [*(f"{_GROUP}{name}" for name in groups), *([NO_GROUP] if records_in_no_group else [])]
    )


def event_partitions(project: RedcapProject) -> dg.StaticPartitionsDefinition:
    """A partition for each event of a longitudinal project: the rows of that event.

    Raises:
        ConfigError: The project is classic.
    """
    if not project.events:
        raise ConfigError("event_partitions needs a longitudinal project; this one has no events.")
    return dg.StaticPartitionsDefinition(
        [f"{_EVENT}{event.unique_name}" for event in project.events]
    )


def arm_partitions(project: RedcapProject) -> dg.StaticPartitionsDefinition:
    """A partition for each arm of a longitudinal project: the rows of the arm's events.

    Raises:
        ConfigError: The project is classic.
    """
    if not project.arms:
        raise ConfigError("arm_partitions needs a longitudinal project; this one has no arms.")
    return dg.StaticPartitionsDefinition([f"{_ARM}{arm.number}" for arm in project.arms])


def parse_partition(partition_key: str | None, project: RedcapProject) -> RecordSelection:
    """What a partition key selects; everything for None.

    Args:
        partition_key: A key of one of the definitions above, or of two of them crossed.
        project: The design as it is now. An event or arm that is gone selects no events.

    Raises:
        ConfigError: The key is none of these, or selects by the same thing twice.
    """
    bucket: tuple[int, int] | None = None
    group: str | None = None
    events: tuple[str, ...] | None = None
    for part in partition_key.split("|") if partition_key is not None else ():
        if match := _BUCKET_KEY.fullmatch(part):
            bucket = int(match[1]), int(match[2])
        elif part == NO_GROUP or part.startswith(_GROUP):
            group = "" if part == NO_GROUP else part.removeprefix(_GROUP)
        elif part.startswith((_EVENT, _ARM)):
            found = _events_of(part, project)
            events = tuple(name for name in found if events is None or name in events)
        else:
            raise ConfigError(
                f"The partition key {partition_key!r} is not one of REDCap assets: they take "
                "record_partitions, data_access_group_partitions, event_partitions, "
                "arm_partitions, or two of them as dg.MultiPartitionsDefinition."
            )
    return RecordSelection(bucket, group, events)


def check_partitions(
    partitions_def: dg.PartitionsDefinition[str] | None, project: RedcapProject
) -> None:
    """Refuse partitions that no record belongs to, before a run does.

    Raises:
        ConfigError: They are those of something else: days, say; or of an event or arm that the
            study does not have.
    """
    if partitions_def is None or isinstance(partitions_def, dg.DynamicPartitionsDefinition):
        return  # dynamic ones are known to a run alone
    if not isinstance(partitions_def, dg.PartitionsDefinition):
        raise ConfigError(
            "`partitions_def` must be partitions, as record_partitions(16) or "
            f"event_partitions(project) makes them, not {type(partitions_def).__name__}."
        )
    keys = partitions_def.get_partition_keys()
    for key in keys:
        parse_partition(key, project)
    # Part by part: an event crossed with the arm of another one rightly holds nothing.
    parts = sorted({part for key in keys for part in key.split("|")})
    unknown = [part for part in parts if parse_partition(part, project).events == ()]
    if unknown:
        raise ConfigError(
            f"The study has no event or arm for the partitions {', '.join(unknown)}. Make them "
            "from its own project, and take its snapshot anew where its events changed."
        )


def _events_of(part: str, project: RedcapProject) -> tuple[str, ...]:
    """The events of an event's or an arm's key that the project has."""
    return tuple(
        event.unique_name
        for event in project.events
        if part in {f"{_EVENT}{event.unique_name}", f"{_ARM}{event.arm_number}"}
    )


def is_by_group(partition_keys: Sequence[str]) -> bool:
    """Whether partitions are by data access group."""
    return any(
        part == NO_GROUP or part.startswith(_GROUP)
        for key in partition_keys
        for part in key.split("|")
    )


def groups_without_partition(
    record_counts: Mapping[str, int], partition_keys: Sequence[str]
) -> dict[str, int]:
    """The data access groups that no partition selects, with their numbers of records.

    Args:
        record_counts: Records by group; "" for those in none.
        partition_keys: Keys of partitions by group.
    """
    parts = {part for key in partition_keys for part in key.split("|")}
    return {
        group: count
        for group, count in record_counts.items()
        if (f"{_GROUP}{group}" if group else NO_GROUP) not in parts
    }
