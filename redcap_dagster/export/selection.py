"""What of a study's records an export holds."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256


@dataclass(frozen=True, repr=False)
class RecordSelection:
    """What of the records an export holds. None stands for no restriction. Its `repr` shows no id.

    Attributes:
        bucket: Number of the hash bucket, and how many there are.
        data_access_group: Unique group name; "" for the records that are in none.
        events: Unique event names, in the project's order.
        record_ids: Ids of the records.
        changed_since: Only records that were created or changed after this, in the server's local
            time. Deleted records cannot be seen that way.
    """

    bucket: tuple[int, int] | None = None
    data_access_group: str | None = None
    events: tuple[str, ...] | None = None
    record_ids: Collection[str] | None = None
    changed_since: datetime | None = None

    @property
    def holds_all(self) -> bool:
        """Whether every record can have rows in it."""
        is_one_bucket = self.bucket in {None, (0, 1)}
        return self.data_access_group is None and self.record_ids is None and is_one_bucket

    def holds(self, record_id: str, data_access_group: str | None) -> bool:
        """Whether a record can have rows in it, as far as its id and group tell."""
        if self.data_access_group not in {None, data_access_group}:
            return False
        if self.record_ids is not None and record_id not in self.record_ids:
            return False
        return self.bucket is None or record_bucket(record_id, self.bucket[1]) == self.bucket[0]

    def key_texts(self) -> Sequence[str]:
        """What tells selections apart, as texts; ids among them."""
        ids = None if self.record_ids is None else sorted(self.record_ids)
        return [
            repr(item)
            for item in (self.bucket, self.data_access_group, self.events, self.changed_since, ids)
        ]


@dataclass(frozen=True)
class RecordOrder:
    """An order of records that is not the server's. Its `repr` shows no id.

    Attributes:
        name: Tells orders apart.
        rank: What a record id is sorted by.
    """

    name: str
    rank: Callable[[str], str]


def record_bucket(record_id: str, buckets: int) -> int:
    """The hash bucket of a record: 0 to `buckets` - 1, the same on every machine and in every run.

    The first 8 bytes of the id's SHA-256 (UTF-8) as a big-endian number, modulo `buckets`.
    """
    digest = sha256(record_id.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") % buckets
