"""How many requests may be on their way at once."""

from threading import Semaphore
from types import TracebackType

from redcap_dagster.api.forks import renew_after_fork


class Slots:
    """So many may be inside at once, and others wait. A forked process has all of them free.

    Args:
        count: How many; at least 1.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Free all."""
        self._free = Semaphore(self._count)

    def __enter__(self) -> None:
        self._free.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._free.release()
