"""Which partitions of a study hold the records that changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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

    @property
    def lists_records(self) -> bool:
        """Whether it has the table `records`, which says which records it holds."""
        return RECORDS in self.extract.tables

    def came_after(self, changes: Sequence[Change]) -> list[Change]:
        """The changes that came after it was published; all where nothing says."""
        fence = self.fence
        return [
            item
            for item in changes
            if fence is None or not fence.covers(item.timestamp, item.digest, item.count)
        ]

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
    parts: Sequence[PublishedPartition],
    changes: Sequence[Change],
    records: StoredRecords,
) -> list[tuple[PublishedPartition, list[Change]]]:
    """Partitions that are out of date, each with the changes that came after it was published.

    Ids of records are read, side by side, only where the changes do not say it by themselves: a
    record that is gone or has another id may be missing from them.

    Raises:
        ConfigError: Published ids are pseudonyms, and the environment has no key.
        TableError: A table cannot be read.
    """
    own = {part.key: part.came_after(changes) for part in parts}
    older = [part for part in parts if own[part.key] or part.fence is None]
    named = {part.key for part in older if part.is_named_by(own[part.key], records)}
    unnamed = [part for part in older if part.key not in named and part.lists_records]
    held = dict(
        zip(
            (part.key for part in unnamed),
            _recognise(
                read_side_by_side(lambda part: _record_ids(part, study.project), unnamed),
                study.deidentification,
                records.groups,
            ),
            strict=True,
        )
    )
    return [
        (part, own[part.key])
        for part in older
        if part.key in named or (part.key in held and part.holds_others(held[part.key], records))
    ]


def _record_ids(part: PublishedPartition, project: RedcapProject) -> frozenset[str]:
    table = read_table(part.extract, RECORDS, [project.record_id_field])
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
