"""Limits of a server: requests a minute from one address, requests in work at once."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_MINUTE_SECONDS = 60.0


class MinuteWindow:
    """Counts the requests of the last minute, address by address.

    Args:
        seconds: A clock that never goes back, in seconds.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._came: defaultdict[str, deque[float]] = defaultdict(deque)
        self._refused_until: dict[str, float] = {}

    def is_over(self, address: str, limit: int, retry_after: float) -> bool:
        """Count one request and say whether it is above the limit.

        Args:
            address: Where it came from.
            limit: Requests a minute that are let through.
            retry_after: How many seconds an address is refused that went above it, and may then
                begin afresh; below zero it is refused until its minute has gone by.
        """
        now = self._seconds()
        came = self._came[address]
        if address in self._refused_until:
            if now < self._refused_until[address]:
                return True
            del self._refused_until[address]
            came.clear()
        while came and came[0] <= now - _MINUTE_SECONDS:
            came.popleft()
        if len(came) < limit:
            came.append(now)
            return False
        if retry_after >= 0:
            self._refused_until[address] = now + retry_after
        return True

    def forget(self) -> None:
        """Forget what was counted."""
        self._came.clear()
        self._refused_until.clear()


class QueueFullError(Exception):
    """More requests wait for a worker than the queue holds."""


class Workers:
    """A pool of workers; used from one event loop.

    Args:
        count: How many requests are in work at once.
        queue: How many may wait; below zero any number.
    """

    def __init__(self, count: int, queue: int) -> None:
        self._free = asyncio.Semaphore(count)
        self._queue = queue
        self._waiting = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a worker and hold it.

        Raises:
            QueueFullError: Too many wait already.
        """
        if self._free.locked() and 0 <= self._queue <= self._waiting:
            raise QueueFullError
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
