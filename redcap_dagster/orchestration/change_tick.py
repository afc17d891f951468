"""One look of the change sensor: what changed in REDCap, and which partitions must run for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError, RequestRejectedError
from redcap_dagster.export import (
    Change,
    ChangeFence,
    RecordSelection,
    read_changes,
    read_design,
    read_row_list,
)
from redcap_dagster.orchestration.affected import (
    PartitionChanges,
    PublishedPartition,
    StoredRecords,
    came_after,
    published_partitions,
    touched_partitions,
)
from redcap_dagster.orchestration.publications import News
from redcap_dagster.orchestration.sensor_cursor import SensorCursor, Wanted
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.project import RedcapProject, check_same_project

_DATE_OVERLAP = timedelta(minutes=5)


@dataclass(frozen=True)
class ChangeTick:
    """What one look came to.

    Attributes:
        cursor: The state to remember.
        counts: Partition key → what changed of it, by kind, for those that changed now.
        note: What a person should know; "" for nothing.
    """

    cursor: SensorCursor
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class ChangeWatch:
    """Looks for changes of a study. Asks REDCap once where nothing changed.

    Attributes:
        study: The study whose partitions are kept up to date.
        keys: Its partition keys; `[None]` where it has none.
        full_every: How long until everything is requested again; None for never.
        server_timezone: The server's, for a token without the Logging right; None if not known.
    """

    study: StudyAssets
    keys: Sequence[str | None]
    full_every: timedelta | None
    server_timezone: ZoneInfo | None

    @cached_property
    def published(self) -> tuple[PublishedPartition, ...]:
        """The partitions that were materialized; the others are nobody's business here.

        They are looked for once, when something has to be known of them.
        """
        return published_partitions(self.study, self.keys)

    def look(
        self, client: RedcapClient, cursor: SensorCursor | None, news: News, now: datetime
    ) -> ChangeTick:
        """Ask REDCap what changed since the cursor.

        Args:
            client: Where to ask.
            cursor: The state of the last look; None for the first, or when it is lost. What was
                published then says where to begin.
            news: What was published since.
            now: The time, in UTC.

        Raises:
            ApiError: REDCap did not answer, or refused.
            ConfigError: The log cannot be read, and nothing else says what changed.
            ProjectMismatchError: The snapshot is of another project, or has another record id
                field: every run would be refused.
        """
        try:
            return self._look_at_log(client, cursor, news, now)
        except RequestRejectedError as error:
            if error.reason != "not_permitted" or error.content != "log":
                raise
        return self._look_at_dates(client, cursor, news, now)

    def _look_at_log(
        self, client: RedcapClient, cursor: SensorCursor | None, news: News, now: datetime
    ) -> ChangeTick:
        compared = self._compared(cursor, news)
        since = _begin(cursor, compared)
        fence, changes = read_changes(client, self.study.project, since)
        older = self._older(cursor, compared, changes)
        wanted, counts = _not_ended(cursor, news), {}
        for part, own in self._touched(client, self._read_design(client), older) if older else ():
            key = part.key or ""
            wanted[key] = _reason(part, own[-1], cursor, news)
            counts[key] = _count(part, own)
        if since is None:  # nothing says what happened before
            wanted |= self._everything(Wanted(fence.newest, "", 0, f"first-{now:%Y%m%dT%H%M%S}"))
        return ChangeTick(self._settle(wanted, cursor, fence, news, now), counts)

    def _compared(self, cursor: SensorCursor | None, news: News) -> tuple[PublishedPartition, ...]:
        """Partitions to compare with the log since their export, whatever was seen of it before.

        A look in which nothing was published reads no manifest here.
        """
        if cursor is None:
            return self.published
        keys = [key for key in self.keys if (key or "") in news.published]
        return published_partitions(self.study, keys)

    def _older(
        self,
        cursor: SensorCursor | None,
        compared: Sequence[PublishedPartition],
        changes: Sequence[Change],
    ) -> list[PartitionChanges]:
        """The partitions that changes came after, each with these.

        Changes that an earlier look has seen count for those that are compared anew.
        """
        fresh = changes if cursor is None else came_after(cursor.fence, changes)
        anew = {part.key for part in compared if part.fence is not None}
        older = [
            (part, part.came_after(changes if part.key in anew else fresh))
            for part in (self.published if fresh else compared)
        ]
        return [(part, own) for part, own in older if own]

    def _look_at_dates(
        self, client: RedcapClient, cursor: SensorCursor | None, news: News, now: datetime
    ) -> ChangeTick:
        if self.server_timezone is None:
            raise ConfigError(
                "The API token's user has no Logging right, so the project's log cannot say what "
                "changed. Give the user that right, or give the sensor `server_timezone`: it then "
                "asks for records by the date of their last change."
            )
        note = (
            "The token's user has no Logging right: changes are found by dates and by the list of "
            "records, which may miss files, and a moved record's other tables."
        )
        label = f"since-{now:%Y%m%dT%H%M%S}"
        if cursor is None:
            wanted = self._everything(Wanted("", "", 0, label))
            return ChangeTick(self._settle(wanted, cursor, None, news, now), note=note)
        asked_at = cursor.asked_at.astimezone(self.server_timezone)
        begin = (asked_at - _DATE_OVERLAP).replace(tzinfo=None, microsecond=0)
        live = self._read_design(client)
        # By the list of rows: of a record with nothing but instances no row of its own would come.
        changed = read_row_list(client, live, RecordSelection(changed_since=begin))
        changes = [Change("updated", "", "", 0, name) for name in changed.record_ids]
        wanted, counts = _not_ended(cursor, news), {}
        # What a partition has seen of a log that was read once says nothing about dates.
        for part, own in self._touched(client, live, [(part, changes) for part in self.published]):
            wanted[part.key or ""] = Wanted("", "", 0, label)
            counts[part.key or ""] = _count(part, own)
        return ChangeTick(self._settle(wanted, cursor, None, news, now), counts, note)

    def _read_design(self, client: RedcapClient) -> RedcapProject:
        """The design as it is now, by which rows can be listed that the snapshot knows not of.

        Raises:
            ProjectMismatchError: It is another project's, so that every run would be refused.
        """
        live = read_design(client)
        check_same_project(self.study.project, live)
        return live

    def _touched(
        self,
        client: RedcapClient,
        live: RedcapProject,
        older: Sequence[PartitionChanges],
    ) -> list[PartitionChanges]:
        """Those that are out of date, of those that changes came after."""
        by_group = any(part.selection.data_access_group is not None for part, _ in older)
        rows = read_row_list(client, live, with_groups=by_group)
        no_groups = ("",) * len(rows.record_ids)
        groups = dict(zip(rows.record_ids, rows.groups or no_groups, strict=True))
        by_design = [(part.by_design(live), changes) for part, changes in older]
        return touched_partitions(self.study, by_design, StoredRecords(groups))

    def _settle(
        self,
        wanted: dict[str, Wanted],
        cursor: SensorCursor | None,
        fence: ChangeFence | None,
        news: News,
        now: datetime,
    ) -> SensorCursor:
        """The next cursor, with a full reconciliation where it is due."""
        full_at = now if cursor is None else cursor.full_at
        if self.full_every is not None and now - full_at >= self.full_every:
            full_at = now
            newest = "" if fence is None else fence.newest
            wanted = self._everything(Wanted(newest, "", 0, f"full-{now:%Y%m%dT%H%M%S}")) | wanted
        return SensorCursor(fence, wanted, full_at, now, news.told)

    def _everything(self, reason: Wanted) -> dict[str, Wanted]:
        return {part.key or "": reason for part in self.published}


def _begin(
    cursor: SensorCursor | None, compared: Sequence[PublishedPartition]
) -> ChangeFence | None:
    """Where to begin to read the log; None where nothing says what happened before.

    What of it each partition has seen, its own fence tells.
    """
    fences = [part.fence for part in compared] if cursor is None else [cursor.fence]
    known = [fence.newest for fence in fences if fence is not None]
    if not known or len(known) < len(fences):
        return None
    exported = [] if cursor is None else [part.exported_at for part in compared]
    return ChangeFence(min([*known, *(minute for minute in exported if minute is not None)]))


def _not_ended(cursor: SensorCursor | None, news: News) -> dict[str, Wanted]:
    """What was wanted, without that whose run succeeded."""
    wanted = {} if cursor is None else cursor.wanted
    return {key: item for key, item in wanted.items() if key not in news.ended}


def _reason(
    part: PublishedPartition, last: Change, cursor: SensorCursor | None, news: News
) -> Wanted:
    """Why a partition is wanted: the last change that came after it was published.

    A run that is under way for it is not made twice. One that succeeded was overtaken by an older
    one, or reads another log: it is tried again as failed runs are, not for ever.
    """
    key = part.key or ""
    before = None if cursor is None else cursor.wanted.get(key)
    if before is not None and before.is_because_of(last.timestamp, last.digest, last.count):
        return before.again() if key in news.ended else before
    label = f"{last.digest}x{last.count}-{part.extract.extract_id}"
    return Wanted(last.timestamp, last.digest, last.count, label)


def _count(part: PublishedPartition, changes: Sequence[Change]) -> dict[str, int]:
    """How many entries of each kind are of records that the partition holds, as far as ids say."""
    bucket = part.selection.bucket
    held = [
        item
        for item in changes
        if item.kind == "design" or bucket is None or _is_in(part, item.record_id)
    ]
    return dict(Counter(item.kind for item in held))


def _is_in(part: PublishedPartition, record_id: str) -> bool:
    return part.selection.holds(record_id, part.selection.data_access_group)
