"""What the change sensor remembers between two ticks: one versioned JSON text, without data."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from redcap_dagster.export import ChangeFence

_VERSION = 1


@dataclass(frozen=True)
class Wanted:
    """A partition that must run, and the entry of the log because of which it must.

    Attributes:
        timestamp: Minute of the entry; of the fence, where there is no entry; "" without the log.
        digest: Of the entry; "" where the reason is none, such as a full reconciliation.
        count: How many entries of this digest there were.
        attempt: Number of the try, from 1.
        label: Tells this reason, and the extract that was out of date, from others in run keys.
    """

    timestamp: str
    digest: str
    count: int
    label: str
    attempt: int = 1

    def is_covered_by(self, fence: ChangeFence | None) -> bool:
        """Whether what was published read the log after the entry."""
        if fence is None or not self.timestamp:
            return False
        if not self.digest:
            return fence.newest > self.timestamp
        return fence.covers(self.timestamp, self.digest, self.count)

    def is_because_of(self, timestamp: str, digest: str, count: int) -> bool:
        """Whether it is this entry of the log."""
        return (self.timestamp, self.digest, self.count) == (timestamp, digest, count)

    def run_key(self, partition_key: str) -> str:
        """Dagster starts one run for each."""
        return f"{partition_key}@{self.label}#{self.attempt}"

    def again(self) -> "Wanted":
        """The next try."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class SensorCursor:
    """The state of a change sensor.

    Attributes:
        fence: Up to where the log was read; None before it was, and where it cannot be.
        wanted: Partition key ("" where there are no partitions) → why it must run.
        full_at: When everything was last requested, or the sensor began; UTC.
        asked_at: When REDCap was last asked, for sensors without the log; UTC.
        told: Number of the newest event in which Dagster was told of a table; None in a cursor of
            an earlier version.
    """

    fence: ChangeFence | None
    wanted: Mapping[str, Wanted]
    full_at: datetime
    asked_at: datetime
    told: int | None = None

    def of_partitions(self, keys: Collection[str]) -> "SensorCursor":
        """The same without partitions that the study does not have any more: none can run.

        Args:
            keys: Those that it has; `[""]` where it has no partitions.
        """
        wanted = {key: item for key, item in self.wanted.items() if key in keys}
        return replace(self, wanted=wanted)

    def dump(self) -> str:
        """The cursor as Dagster stores it."""
        return json.dumps(
            {
                "version": _VERSION,
                "fence": None if self.fence is None else self.fence.to_plain(),
                "wanted": {key: asdict(item) for key, item in self.wanted.items()},
                "full_at": self.full_at.isoformat(),
                "asked_at": self.asked_at.isoformat(),
                "told": self.told,
            }
        )

    @classmethod
    def load(cls, text: str | None) -> "SensorCursor | None":
        """The cursor that `dump` made; None for one that cannot be read, or is of another version.

        A sensor then begins anew, by requesting everything.
        """
        try:
            plain = json.loads(text or "")
            if plain["version"] != _VERSION:
                return None
            fence = plain["fence"]
            return cls(
                None if fence is None else ChangeFence.from_plain(fence),
                {key: Wanted(**item) for key, item in plain["wanted"].items()},
                datetime.fromisoformat(plain["full_at"]),
                datetime.fromisoformat(plain["asked_at"]),
                plain.get("told"),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
