"""A second thread that compresses and writes while the first one splits."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

_WAITING_CELLS = 4_000_000
"""Cells that may wait to be written, about 35 MB."""


class WriteQueue:
    """Runs writes one after the other, in the order they were given, in a thread of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="redcap-write")
        self._waiting: deque[tuple[int, Future[None]]] = deque()
        self._waiting_cells = 0

    def put(self, cells: int, write: Callable[[], None]) -> None:
        """Have something written soon; waits while too much is waiting.

        Args:
            cells: Size of what is written.
            write: Writes it.

        Raises:
            OSError: An earlier write failed.
        """
        while self._waiting and self._waiting_cells + cells > _WAITING_CELLS:
            self._wait_for_one()
        self._waiting.append((cells, self._pool.submit(write)))
        self._waiting_cells += cells

    def finish(self) -> None:
        """Wait until everything is written.

        Raises:
            OSError: A write failed.
        """
        while self._waiting:
            self._wait_for_one()

    def stop(self) -> None:
        """End the thread; what waits is not written."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()

    def _wait_for_one(self) -> None:
        cells, write = self._waiting.popleft()
        self._waiting_cells -= cells
        write.result()
