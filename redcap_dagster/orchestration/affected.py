"""Which partitions of a study hold the records that changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from redcap_dagster.export import Change, ChangeFence, RecordSelection, record_bucket
from redcap_dagster.extract import fence_of
from redcap_dagster.orchestration.partitions import parse_partition
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.privacy import DeidentificationOptions, Pseudonyms
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import (
    RECORDS,
    PublishedExtract,
    find_extracts,
    read_side_by_side,
    read_table,
)


@dataclass(frozen=True, repr=False)
class StoredRecords:
    """The records that are there now. Its `repr` shows no ids.

    Attributes:
        groups: Every record, with its data access group ("" for none, and for all where the
            partitions are not by group).
    """

    groups: Mapping[str, str]
    _by_bucket: dict[int, list[list[str]]] = field(default_factory=dict)

    def candidates(self, selection: RecordSelection) -> Iterable[str]:
        """Records that a selection could hold, as far as its bucket tells."""
        if selection.bucket is None:
            return self.groups
        number, buckets = selection.bucket
        if buckets not in self._by_bucket:  # once for all partitions: it digests every id
            self._by_bucket[buckets] = [[] for _ in range(buckets)]
            for name in self.groups:
                self._by_bucket[buckets][record_bucket(name, buckets)].append(name)
        return self._by_bucket[buckets][number]


@dataclass(frozen=True)
class PublishedPartition:
    """One partition as readers see it now.

    Attributes:
        key: Its partition key; None where the study has no partitions.
        selection: What of the records it holds.
        extract: What is published of it.
        fence: Up to where the log was read when it was published; None where nothing says.
        has_arms: Whether the study has several arms. A record can be renamed in one of them: the
            log then names the new id only, and the old one stays in the other.
    """

    key: str | None
    selection: RecordSelection
    extract: PublishedExtract = field(repr=False)
    fence: ChangeFence | None
    has_arms: bool

    def by_design(self, live: RedcapProject) -> "PublishedPartition":
        """The same by the design as it is now: it may have other events and arms."""
        return replace(self, selection=parse_partition(self.key, live), has_arms=len(live.arms) > 1)

    @property
    def lists_records(self) -> bool:
        """Whether it has the table `records`, which says which records it holds."""
        return RECORDS in self.extract.tables

    @property
    def exported_at(self) -> str | None:
        """Minute of the log at which its newest tables were exported; None where nothing says.

        The fence may be months older, where later runs made some tables only.
        """
        completeness = self.extract.facts.get("completeness") or {}
        minute: str | None = completeness.get("state_of")
        return minute

    def came_after(self, changes: Sequence[Change]) -> list[Change]:
        """The changes that came after it was published; all where nothing says."""
        return came_after(self.fence, changes)

    def is_named_by(self, changes: Sequence[Change], records: StoredRecords) -> bool:
        """Whether changes say by themselves that a run would give another result."""
        if any(item.kind == "design" for item in changes):
            return True
        if (self.has_arms or not self.lists_records) and any(
            item.kind == "renamed" for item in changes
        ):
            return True  # which id it had before cannot be found out
        any_group = RecordSelection(self.selection.bucket, None, self.selection.events)
        for item in changes:
            group = records.groups.get(item.record_id)
            # A record that is gone was in a group that the log does not name.
            selection = any_group if group is None else self.selection
            if selection.holds(item.record_id, group):
                return True
        return False

    def holds_others(self, record_ids: frozenset[str], records: StoredRecords) -> bool:
        """Whether the records it holds are not those that a run would find.

        Args:
            record_ids: The ids in its table `records`.
            records: What is there now.
        """
        groups, holds = records.groups, self.selection.holds
        if any(name not in groups or not holds(name, groups[name]) for name in record_ids):
            return True
        if self.selection.events is not None:
            return False  # a record need not have rows in these events
        return any(
            name not in record_ids and holds(name, groups[name])
            for name in records.candidates(self.selection)
        )


PartitionChanges: TypeAlias = tuple[PublishedPartition, Sequence[Change]]
"""A partition, and what changed after it was published."""


def came_after(fence: ChangeFence | None, changes: Sequence[Change]) -> list[Change]:
    """The changes that were not there when the log was read; all where it was not."""
    return [
        item
        for item in changes
        if fence is None or not fence.covers(item.timestamp, item.digest, item.count)
    ]


def published_partitions(
    study: StudyAssets, keys: Sequence[str | None]
) -> tuple[PublishedPartition, ...]:
    """Those of some partitions that have been published. Reads a manifest for each, side by side.

    Raises:
        TableError: A manifest cannot be read.
    """
    extracts = find_extracts([study.shelf(key) for key in keys])
    return tuple(
        PublishedPartition(
            key,
            parse_partition(key, study.project),
            extract,
            fence_of(extract),
            has_arms=len(study.project.arms) > 1,
        )
        for key, extract in zip(keys, extracts, strict=True)
        if extract is not None
    )


def touched_partitions(
    study: StudyAssets,
    older: Sequence[PartitionChanges],
    records: StoredRecords,
) -> list[PartitionChanges]:
    """Partitions that are out of date, of those that changes came after; each with its changes.

    Ids of records are read, side by side, only where the changes do not say it by themselves: a
    record that is gone or has another id may be missing from them.

    Raises:
        ConfigError: Published ids are pseudonyms, and the environment has no key.
        TableError: A table cannot be read.
    """
    named = {part.key for part, changes in older if part.is_named_by(changes, records)}
    unnamed = [part for part, _ in older if part.key not in named and part.lists_records]
    held = dict(
        zip(
            (part.key for part in unnamed),
            _recognise(
                read_side_by_side(_record_ids, unnamed),
                study.deidentification,
                records.groups,
            ),
            strict=True,
        )
    )
    return [
        (part, changes)
        for part, changes in older
        if part.key in named or (part.key in held and part.holds_others(held[part.key], records))
    ]


def _record_ids(part: PublishedPartition) -> frozenset[str]:
    # The field of record ids has the name that it had when the table was made.
    first_column = next(iter(part.extract.tables[RECORDS].columns))
    table = read_table(part.extract, RECORDS, [first_column])
    return frozenset(table.column(0).unique().to_pylist())


def _recognise(
    published: Sequence[frozenset[str]],
    deidentification: DeidentificationOptions | None,
    record_ids: Iterable[str],
) -> Sequence[frozenset[str]]:
    """The record ids of REDCap, where what is published holds pseudonyms.

    A pseudonym of no record that is there now stays: the record is gone, or has another id.
    """
    if not published or deidentification is None or not deidentification.pseudonymize_record_ids:
        return published
    pseudonyms = Pseudonyms(deidentification.read_key(), deidentification.longest_shift_days)
    known = {pseudonyms.of(name): name for name in record_ids}
    return [frozenset(known.get(item, item) for item in ids) for ids in published]
