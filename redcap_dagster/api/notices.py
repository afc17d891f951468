"""One warning for what fails in the same way for many requests at once."""

import threading
import time
from collections.abc import Callable

from redcap_dagster.api.failure import Reason
from redcap_dagster.api.forks import renew_after_fork


class FailureNotices:
    """Says of which failures a person should hear. Safe to use from several threads.

    When a server goes away, every request that was on its way fails, and each is sent again after
    its own wait. The first one speaks for the others until it is sent again.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spoken_for: dict[tuple[Reason, int], float] = {}
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Make the lock anew."""
        self._lock = threading.Lock()

    def is_news(self, reason: Reason, sent: int, wait_s: float) -> bool:
        """Whether nobody who waits failed for the same reason after as many tries.

        Args:
            reason: Why a request failed.
            sent: How many times it was sent.
            wait_s: Seconds until it is sent again.
        """
        now = self._clock()
        with self._lock:
            is_news = self._spoken_for.get((reason, sent), now) <= now
            if is_news:
                self._spoken_for[reason, sent] = now + wait_s
        return is_news
