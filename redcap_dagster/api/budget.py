"""How many requests a minute this process sends to one server.

REDCap bans an address for good when it sends more than the server's limit, 600 a minute by default
(docs/sources.md#rate-limit). The limit counts addresses, not tokens, so every client of one server
shares one ledger. The ledger lives in this process; one that a whole machine shares takes its
place behind `RequestBudget` (issue B).
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from redcap_dagster.errors import ConfigError

DEFAULT_REQUESTS_PER_MINUTE = 300
_WINDOW_S = 60.0

logger = logging.getLogger(__name__)


class RequestBudget(Protocol):
    """Permission to send requests."""

    def acquire(self) -> float:
        """Wait until one request may be sent, count it, and return the seconds waited."""

    def hold_off(self, seconds: float) -> None:
        """Let nobody send for so long, because the server asked for it."""


class RequestLedger:
    """When requests were sent to one server in the last minute. Safe to share between threads.

    Args:
        clock: Seconds that only grow.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._sent: deque[float] = deque()
        self._held_until = float("-inf")

    def acquire(self, per_minute: int) -> float:
        """Count one request as soon as at most `per_minute` lie in any 60 seconds."""
        waited_s = 0.0
        while True:
            with self._lock:
                wait_s = self._wait_s(per_minute)
                if wait_s <= 0:
                    self._sent.append(self._clock())
                    return waited_s
            logger.info("Waiting %.1f s: the request budget is used up.", wait_s)
            self._sleep(wait_s)
            waited_s += wait_s

    def hold_off(self, seconds: float) -> None:
        """Count no request for so long."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + seconds)

    def _wait_s(self, per_minute: int) -> float:
        now = self._clock()
        while self._sent and self._sent[0] <= now - _WINDOW_S:
            self._sent.popleft()
        until_room = 0.0
        if len(self._sent) >= per_minute:
            until_room = self._sent[len(self._sent) - per_minute] + _WINDOW_S - now
        return max(until_room, self._held_until - now)


class ProcessBudget:
    """A budget that all clients of one server in this process share.

    Args:
        ledger: What was sent; shared by the clients of one server.
        requests_per_minute: At most so many in any 60 seconds, those of other clients included.

    Raises:
        ConfigError: Less than one request a minute.
    """

    def __init__(self, ledger: RequestLedger, requests_per_minute: int) -> None:
        if requests_per_minute < 1:
            raise ConfigError("`requests_per_minute` must be 1 or more.")
        self._ledger = ledger
        self._requests_per_minute = requests_per_minute

    def acquire(self) -> float:
        """Wait until one request may be sent, count it, and return the seconds waited."""
        return self._ledger.acquire(self._requests_per_minute)

    def hold_off(self, seconds: float) -> None:
        """Let nobody in this process send to the server for so long."""
        self._ledger.hold_off(seconds)


_ledgers: dict[str, RequestLedger] = {}
_ledgers_lock = threading.Lock()


def process_budget(server: str, requests_per_minute: int) -> ProcessBudget:
    """The budget of a server, on the ledger that this process keeps for it.

    Args:
        server: Scheme and host, as `address.origin` gives them.
        requests_per_minute: At most so many in any 60 seconds.
    """
    with _ledgers_lock:
        ledger = _ledgers.setdefault(server, RequestLedger())
    return ProcessBudget(ledger, requests_per_minute)
