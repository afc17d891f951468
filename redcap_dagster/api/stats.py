"""Counts of what a client sent and received, for manifests and metadata."""

import threading
from dataclasses import dataclass, replace

from redcap_dagster.api.forks import renew_after_fork


@dataclass(frozen=True, slots=True)
class RequestStats:
    """What a client did since it was made.

    Attributes:
        requests: Requests sent, retries among them.
        retries: Requests that were sent again after a failure.
        failures: Answers that were not believed, and requests without a whole answer.
        bytes_received: Bytes of bodies, decompressed, those not believed among them.
        waited_s: Seconds spent waiting for the budget and before retries, over all threads.
    """

    requests: int = 0
    retries: int = 0
    failures: int = 0
    bytes_received: int = 0
    waited_s: float = 0.0


class StatsCounter:
    """Adds up `RequestStats` from several threads."""

    def __init__(self) -> None:
        self._stats = RequestStats()
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Make the lock anew."""
        self._lock = threading.Lock()

    @property
    def stats(self) -> RequestStats:
        """The counts as they are now."""
        return self._stats

    def add(
        self,
        *,
        requests: int = 0,
        retries: int = 0,
        failures: int = 0,
        bytes_received: int = 0,
        waited_s: float = 0.0,
    ) -> None:
        """Add to the counts."""
        with self._lock:
            now = self._stats
            self._stats = replace(
                now,
                requests=now.requests + requests,
                retries=now.retries + retries,
                failures=now.failures + failures,
                bytes_received=now.bytes_received + bytes_received,
                waited_s=now.waited_s + waited_s,
            )
