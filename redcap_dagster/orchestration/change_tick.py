"""One look of the change sensor: what changed in REDCap, and which partitions must run for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError, RequestRejectedError
from redcap_dagster.export import (
    Change,
    ChangeFence,
    read_changes,
    read_row_list,
)
from redcap_dagster.orchestration.affected import (
    PublishedPartition,
    StoredRecords,
    published_partitions,
    touched_partitions,
)
from redcap_dagster.orchestration.sensor_cursor import SensorCursor, Wanted
from redcap_dagster.orchestration.study import StudyAssets

_DATE_OVERLAP = timedelta(minutes=5)
_SECONDS = "%Y-%m-%d %H:%M:%S"


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

    def look(self, client: RedcapClient, cursor: SensorCursor | None, now: datetime) -> ChangeTick:
        """Ask REDCap what changed since the cursor.

        Args:
            client: Where to ask.
            cursor: The state of the last look; None for the first, or when it is lost. What was
                published then says where to begin.
            now: The time, in UTC.

        Raises:
            ApiError: REDCap did not answer, or refused.
            ConfigError: The log cannot be read, and nothing else says what changed.
        """
        try:
            return self._look_at_log(client, cursor, now)
        except RequestRejectedError as error:
            if error.reason != "not_permitted" or error.content != "log":
                raise
        return self._look_at_dates(client, cursor, now)

    def _look_at_log(
        self, client: RedcapClient, cursor: SensorCursor | None, now: datetime
    ) -> ChangeTick:
        since = self._oldest_fence() if cursor is None else cursor.fence
        fence, changes = read_changes(client, self.study.project, since)
        wanted = {} if cursor is None else dict(cursor.wanted)
        counts: dict[str, Mapping[str, int]] = {}
        if changes:
            last = changes[-1]
            reason = Wanted(last.timestamp, last.digest, last.count, f"{last.digest}x{last.count}")
            for part, own in self._touched(client, self.published, changes):
                wanted[part.key or ""] = reason
                counts[part.key or ""] = _count(part, own)
        if since is None:  # nothing says what happened before
            wanted |= self._everything(Wanted(fence.newest, "", 0, f"first-{now:%Y%m%dT%H%M%S}"))
        return ChangeTick(self._settle(wanted, cursor, fence, now), counts)

    def _look_at_dates(
        self, client: RedcapClient, cursor: SensorCursor | None, now: datetime
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
            return ChangeTick(self._settle(wanted, cursor, None, now), note=note)
        asked_at = cursor.asked_at.astimezone(self.server_timezone)
        begin = (asked_at - _DATE_OVERLAP).strftime(_SECONDS)
        rows = client.export_records(
            fields=[self.study.project.record_id_field], date_range_begin=begin
        )
        ids = dict.fromkeys(row[self.study.project.record_id_field] for row in rows)
        changes = [Change("updated", "", "", 0, record_id) for record_id in ids]
        wanted, counts = dict(cursor.wanted), {}
        # What a partition has seen of a log that was read once says nothing about dates.
        parts = [replace(part, fence=None) for part in self.published]
        for part, own in self._touched(client, parts, changes):
            wanted[part.key or ""] = Wanted("", "", 0, label)
            counts[part.key or ""] = _count(part, own)
        return ChangeTick(self._settle(wanted, cursor, None, now), counts, note)

    def _touched(
        self,
        client: RedcapClient,
        parts: Sequence[PublishedPartition],
        changes: Sequence[Change],
    ) -> list[tuple[PublishedPartition, list[Change]]]:
        """Those that are out of date, each with the changes that came after it was made."""
        by_group = any(part.selection.data_access_group is not None for part in parts)
        rows = read_row_list(client, self.study.project, with_groups=by_group)
        no_groups = ("",) * len(rows.record_ids)
        groups = dict(zip(rows.record_ids, rows.groups or no_groups, strict=True))
        return touched_partitions(self.study, parts, changes, StoredRecords(groups))

    def _settle(
        self,
        wanted: dict[str, Wanted],
        cursor: SensorCursor | None,
        fence: ChangeFence | None,
        now: datetime,
    ) -> SensorCursor:
        """The next cursor, with a full reconciliation where it is due."""
        full_at = now if cursor is None else cursor.full_at
        if self.full_every is not None and now - full_at >= self.full_every:
            full_at = now
            newest = "" if fence is None else fence.newest
            wanted = self._everything(Wanted(newest, "", 0, f"full-{now:%Y%m%dT%H%M%S}")) | wanted
        return SensorCursor(fence, wanted, full_at, now)

    def _everything(self, reason: Wanted) -> dict[str, Wanted]:
        return {part.key or "": reason for part in self.published}

    def _oldest_fence(self) -> ChangeFence | None:
        """Where the published partition that is farthest behind stands; None if one cannot say."""
        fences = [part.fence for part in self.published]
        known = [fence for fence in fences if fence is not None]
        if len(known) < len(fences) or not known:
            return None
        return min(known, key=lambda fence: fence.newest)


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
