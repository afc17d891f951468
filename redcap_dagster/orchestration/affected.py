"""Which partitions of a study hold the records that changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from redcap_dagster.export import Change, RecordSelection
from redcap_dagster.orchestration.partitions import parse_partition
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.privacy import DeidentificationOptions, Pseudonyms
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import RECORDS, current_extract, has_extract, read_published


@dataclass(frozen=True, repr=False)
class PublishedPartition:
    """One partition as readers see it now. Its `repr` shows no ids.

    Attributes:
        key: Its partition key; None where the study has no partitions.
        selection: What of the records it holds.
        record_ids: Ids in its table `records`; None where that is no asset.
        has_arms: Whether the study has several arms. A record can be renamed in one of them: the
            log then names the new id only, and the old one stays in the other.
    """

    key: str | None
    selection: RecordSelection
    record_ids: frozenset[str] | None
    has_arms: bool

    def is_touched(self, changes: Sequence[Change], groups: Mapping[str, str]) -> bool:
        """Whether a run of this partition could give another result than what is published.

        Args:
            changes: What changed since it was published.
            groups: Every record that is there now, with its data access group ("" for none, and
                for all where the partitions are not by group).
        """
        if any(item.kind == "design" for item in changes):
            return True
        if (self.record_ids is None or self.has_arms) and any(
            item.kind == "renamed" for item in changes
        ):
            return True  # which id it had before cannot be found out
        return self._holds_changed(changes, groups) or self._lists_others(groups)

    def _holds_changed(self, changes: Sequence[Change], groups: Mapping[str, str]) -> bool:
        any_group = RecordSelection(self.selection.bucket, None, self.selection.events)
        for item in changes:
            group = groups.get(item.record_id)
            # A record that is gone was in a group that the log does not name.
            selection = any_group if group is None else self.selection
            if selection.holds(item.record_id, group):
                return True
        return False

    def _lists_others(self, groups: Mapping[str, str]) -> bool:
        if self.record_ids is None:
            return False
        holds = self.selection.holds
        if any(name not in groups or not holds(name, groups[name]) for name in self.record_ids):
            return True
        if self.selection.events is not None:
            return False  # a record need not have rows in these events
        return any(
            name not in self.record_ids and holds(name, group) for name, group in groups.items()
        )


def published_partitions(
    study: StudyAssets, keys: Sequence[str | None], project: RedcapProject
) -> list[PublishedPartition]:
    """Those of some partitions that have been published, with the ids they hold."""
    return [
        PublishedPartition(
            key,
            parse_partition(key, project),
            _record_ids(study, key, project),
            has_arms=len(project.arms) > 1,
        )
        for key in keys
        if has_extract(study.shelf(key))
    ]


def recognise_records(
    parts: Sequence[PublishedPartition],
    deidentification: DeidentificationOptions | None,
    record_ids: Iterable[str],
) -> list[PublishedPartition]:
    """Partitions with the record ids of REDCap, where what is published holds pseudonyms.

    A pseudonym of no record that is there now stays: the record is gone, or has another id.

    Raises:
        ConfigError: The environment has no key.
    """
    if deidentification is None or not deidentification.pseudonymize_record_ids:
        return list(parts)
    pseudonyms = Pseudonyms(deidentification.read_key(), deidentification.longest_shift_days)
    known = {pseudonyms.of(name): name for name in record_ids}
    return [
        part
        if part.record_ids is None
        else replace(part, record_ids=frozenset(known.get(item, item) for item in part.record_ids))
        for part in parts
    ]


def _record_ids(
    study: StudyAssets, key: str | None, project: RedcapProject
) -> frozenset[str] | None:
    shelf = study.shelf(key)
    if RECORDS not in current_extract(shelf).tables:
        return None
    table = read_published(shelf, RECORDS, [project.record_id_field])
    return frozenset(table.column(0).unique().to_pylist())
