"""What the project's log says has changed, and up to where it was read.

The log names minutes of the server's local time, newest first. So it is read with an overlap, and
its entries are told apart by keyed digests, which say nothing without the API token. The overlap
is longer than the hour by which a clock goes back in autumn.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Literal

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import AnswerError, ExportError
from redcap_dagster.project import RedcapProject

ChangeKind = Literal["created", "updated", "deleted", "renamed", "moved", "design"]
"""What happened to a record; `moved` is another data access group, and `design` no record's."""

_MINUTE = "%Y-%m-%d %H:%M"
_MINUTE_LENGTH = len("2026-01-31 23:59")
_OVERLAP = timedelta(hours=2)
_FARTHEST_BEHIND_UTC = timedelta(hours=14)
"""No place on Earth is more than 12 hours behind UTC; the rest makes up for the overlap."""

_READS = re.compile(
    r"(?:Data export|PDF Export|Page View|Lock/Unlock Record|E-signature|Verified data value"
    r"|Download uploaded document)\b"
    r"|(?:Add|Edit|Delete) user\b|User (?:assigned|removed)\b"
    r"|(?:Create|Edit|Rename|Delete) user role\b|Switch DAG\b"
    r"|Manage/Design (?:\w+ )+alert\b",  # of an alert the details are those of the e-mail
    re.IGNORECASE,
)
_MANAGE = "Manage/Design"
# Under `Manage/Design`: what leaves records and their design as they are (docs/sources.md#log).
_HARMLESS_DETAILS = re.compile(
    r"(?:Export|Download|View)\b(?!.*\bShared Library\b)"
    r"|Switch DAG\b|(?:Import|Delete|Create|Edit) (?:users?|user roles?|user role assignments"
    r"|User-DAG assignments)\b"
    r"|.*\bFile Repository\b"
    r"|(?:Create|Edit|Delete|Copy|Reorder) reports?\b"
    r"|(?:Create|Edit|Delete) calendar event\b"
    r"|(?:Automatically schedule|Automatically remove scheduled|Delete scheduled|Send|Send public"
    r"|Modify send time for scheduled) survey invitation|Re-evaluate automated survey invitation"
    r"|Email survey link\b|Send email\b"
    r"|(?:Add|Edit|Delete) field comment\b|(?:\w+ ){1,3}data query\b|(?:De-)?verified data value\b"
    r"|Execute data quality rule|Click project bookmark\b",
    re.IGNORECASE | re.DOTALL,
)
_OLD_ACTION = re.compile(
    r"(?:Created?|Updated?|Deleted?|Randomize)(?: Record| Response)?(?: \([A-Za-z ]+\))? "
    r"(?P<record_id>.+?)(?: \(.*\))?",
    re.IGNORECASE | re.DOTALL,
)
# A rename's entry holds the new id alone; where a record is first saved in an event, others follow.
_ONE_MORE_VALUE = re.compile(r"',\s+[a-z][a-z0-9_]*(?:\([^()]*\))? = ")
_REMOVED = "[*DATA REMOVED*]"
"""Details of the entries of a record that was deleted with its log."""

_IDENTIFYING = ("timestamp", "username", "action", "details", "record")


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log after which an extract may be out of date. Its `repr` shows no id.

    Attributes:
        kind: What happened.
        timestamp: Minute of the server's local time, `2026-11-21 23:59`.
        digest: Tells the entry from others; the same entry has the same one with this token.
        count: How many entries of this digest there were up to this one, itself included.
        record_id: The record, "" for a change of the design.
    """

    kind: ChangeKind
    timestamp: str
    digest: str
    count: int
    record_id: str = field(default="", repr=False)


@dataclass(frozen=True)
class ChangeFence:
    """Up to where the log was read.

    Attributes:
        newest: Newest minute that was seen.
        seen: Changes of the last two hours before it: digest → how many.
    """

    newest: str
    seen: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def window(self) -> str:
        """The minute from which on changes are told apart by their digests."""
        return _minute(_parse(self.newest) - _OVERLAP)

    def covers(self, timestamp: str, digest: str, count: int) -> bool:
        """Whether an entry of the log was there when it was read."""
        if timestamp < self.window:
            return True
        return self.seen.get(digest, 0) >= count

    def to_plain(self) -> dict[str, Any]:
        """The fence as JSON values; no values and no ids."""
        return {"newest": self.newest, "seen": dict(self.seen)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "ChangeFence":
        """The fence that `to_plain` made.

        Raises:
            ValueError: It is not one.
        """
        newest, seen = plain.get("newest"), plain.get("seen")
        if not isinstance(newest, str) or not isinstance(seen, dict):
            raise ValueError("not a fence")  # noqa: TRY004 - one error for everything unreadable
        _parse(newest)
        return cls(newest, {str(digest): int(count) for digest, count in seen.items()})


def read_changes(
    client: RedcapClient, project: RedcapProject, since: ChangeFence | None
) -> tuple[ChangeFence, tuple[Change, ...]]:
    """Read the log: one request.

    Args:
        client: Where to ask. Its user needs the Logging right.
        project: Names the record id field and the events.
        since: Where it was read up to last time; None reads no further back than is needed to
            know where it stands, and gives no changes.

    Returns:
        The new fence, and what came since the old one, oldest first.

    Raises:
        ApiError: REDCap did not answer, or refused, or its answer cannot be believed.
        ExportError: The log is empty where it cannot be.
    """
    fence, changes = _read(client, project, _begin(since))
    if since is None:
        return fence, ()
    new = [item for item in changes if not since.covers(item.timestamp, item.digest, item.count)]
    return fence, tuple(new)


def read_fence(client: RedcapClient, project: RedcapProject) -> tuple[ChangeFence, bool]:
    """Where the log stands now: one request.

    Args:
        client: Where to ask. Its user needs the Logging right.
        project: Names the record id field and the events.

    Returns:
        The fence, and whether there is a change of the design in the two hours before it, so that
        a design that was read within the last hour may be an old one.

    Raises:
        ApiError: REDCap did not answer, or refused, or its answer cannot be believed.
        ExportError: The log is empty where it cannot be.
    """
    fence, changes = _read(client, project, _begin(None))
    recent = (item for item in changes if item.timestamp >= fence.window)
    return fence, any(item.kind == "design" for item in recent)


def _read(
    client: RedcapClient, project: RedcapProject, begin: datetime
) -> tuple[ChangeFence, list[Change]]:
    rows = client.export_logging(begin_time=begin)
    if not rows:
        raise ExportError(
            "The project's log is empty, though our own requests must be in it. The server's clock "
            "is off by half a day or more, or its log is not written."
        )
    newest = max(minutes_of(rows))
    changes = changes_in(rows, client, project)
    window = ChangeFence(newest).window
    seen = Counter(item.digest for item in changes if item.timestamp >= window)
    return ChangeFence(newest, seen), changes


def _begin(since: ChangeFence | None) -> datetime:
    return earliest_local_time() if since is None else _parse(since.newest) - _OVERLAP


def earliest_local_time() -> datetime:
    """The server's local time is this or later, wherever it stands."""
    return datetime.now(timezone.utc).replace(tzinfo=None) - _FARTHEST_BEHIND_UTC


def _parse(minute: str) -> datetime:
    return datetime.strptime(minute, _MINUTE)  # noqa: DTZ007 - the server's local time


def minutes_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The minute of each entry of the log, `2026-11-21 23:59`.

    Args:
        rows: As REDCap sent them.

    Raises:
        AnswerError: An entry has no such time.
    """
    minutes = [str(row.get("timestamp") or "")[:_MINUTE_LENGTH] for row in rows]
    wrong = sum(not _is_minute(minute) for minute in minutes)
    if wrong:
        raise AnswerError(
            f"REDCap's answer has {wrong} entries of the log without a time, or with one that is "
            "not written as REDCap does (2026-11-21 23:59). It was not used.",
            content="log",
            status=200,
        )
    return minutes


@lru_cache
def _is_minute(text: str) -> bool:
    try:
        return _minute(_parse(text)) == text  # minutes are compared as text
    except ValueError:
        return False


def _minute(moment: datetime) -> str:
    return moment.strftime(_MINUTE)


def changes_in(
    rows: Sequence[Mapping[str, Any]], client: RedcapClient, project: RedcapProject
) -> list[Change]:
    """What of some rows of the log can put an extract out of date: no request.

    Args:
        rows: As REDCap sent them, newest first.
        client: Makes the digests.
        project: Names the record id field.

    Returns:
        The changes, oldest first.

    Raises:
        AnswerError: An entry has no time.
    """
    counts: Counter[str] = Counter()
    changes = []
    for row, minute in zip(reversed(rows), reversed(minutes_of(rows)), strict=True):
        action = str(row.get("action") or "").strip()
        details = str(row.get("details") or "").strip()
        if _is_harmless(action, details):
            continue
        texts = [str(row.get(name) or "") for name in _IDENTIFYING]
        digest = client.keyed_digest(*texts)
        counts[digest] += 1
        record_id = _record_of(row, action)
        changes.append(
            Change(
                _kind_of(action, details, record_id, project.record_id_field),
                minute,
                digest,
                counts[digest],
                record_id,
            )
        )
    return changes


def _is_harmless(action: str, details: str) -> bool:
    if _READS.match(action) is not None:
        return True
    return action.startswith(_MANAGE) and _HARMLESS_DETAILS.match(details) is not None


def _record_of(row: Mapping[str, Any], action: str) -> str:
    if action.startswith(_MANAGE):
        return ""
    if "record" in row:
        return str(row["record"] or "")
    found = _OLD_ACTION.fullmatch(action)  # servers before 13 have no such column
    return found["record_id"] if found else ""


def _kind_of(action: str, details: str, record_id: str, record_id_field: str) -> ChangeKind:
    if not record_id:
        return "design"
    word = action.lower()
    if word.startswith("delete") and "document" not in word:
        return "deleted"
    if word.startswith("create"):
        return "created"
    if _may_be_rename(details, record_id_field):
        return "renamed"
    if "data access group (redcap_data_access_group" in details.lower():
        return "moved"
    return "updated"


def _may_be_rename(details: str, record_id_field: str) -> bool:
    """Whether an entry is a rename, as far as its details tell."""
    new_id = f"{record_id_field} = '"
    if not details.startswith(new_id):
        return details == _REMOVED
    return _ONE_MORE_VALUE.search(details, len(new_id)) is None
