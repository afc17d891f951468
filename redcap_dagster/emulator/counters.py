"""Counts what was asked of an emulator."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """What was counted so far.

    Attributes:
        requests: Requests to the API.
        answers: Answers that were sent whole, errors among them.
        cells: Rows times columns of the lists that were sent.
        body_bytes: Bytes of the bodies that were sent.
        most_at_once: The largest number of requests in work at the same time.
        early_retries: Requests from an address before the `Retry-After` it had been told was over.
        banned_requests: Requests from an address after it had been banned.
    """

    requests: int = 0
    answers: int = 0
    cells: int = 0
    body_bytes: int = 0
    most_at_once: int = 0
    early_retries: int = 0
    banned_requests: int = 0


class Counters:
    """Counts requests as they come and go. Safe to use from many threads.

    Args:
        seconds: A clock that never goes back, in seconds.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._counted: dict[str, int] = {}
        self._at_once = 0
        self._patience: dict[str, float] = {}

    @property
    def counts(self) -> Counts:
        """What was counted so far."""
        with self._lock:
            return Counts(**self._counted)

    @contextmanager
    def in_work(self, address: str) -> Iterator[None]:
        """Count a request from `address` that is in work while the block runs."""
        with self._lock:
            self._add("requests", 1)
            self._at_once += 1
            most = self._counted.get("most_at_once", 0)
            self._counted["most_at_once"] = max(most, self._at_once)
            if self._seconds() < self._patience.get(address, 0.0):
                self._add("early_retries", 1)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def answered(self, cells: int, body_bytes: int) -> None:
        """Count an answer."""
        with self._lock:
            self._add("answers", 1)
            self._add("cells", cells)
            self._add("body_bytes", body_bytes)

    def told_to_wait(self, address: str, seconds: float) -> None:
        """Remember a `Retry-After`."""
        with self._lock:
            self._patience[address] = self._seconds() + seconds

    def banned(self) -> None:
        """Count a request from a banned address."""
        with self._lock:
            self._add("banned_requests", 1)

    def _add(self, name: str, count: int) -> None:
        self._counted[name] = self._counted.get(name, 0) + count
