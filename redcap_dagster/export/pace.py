"""How much one request asks for: more while answers come fast, less where the server refuses."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_FIRST_SHARE = 4
"""The first requests ask for a quarter of the budget, but for those that try a larger size."""

_GROWTH = 2
"""The sizes above the first one: twice as much, and again, up to the budget."""

_SLOW_S = 20.0
"""An answer that takes longer is not followed by a larger one."""

_FEWEST_CELLS = 500
"""No refusal brings the size below this, unless the budget is smaller."""

_MOST_ANSWERS_ON_TRIAL = 20
"""Answers after which a larger size may be tried again: what it was cut for may have had less."""

_FORGET_AFTER = 50
"""Answers in a row after which a refusal is no longer held against its size."""

_FEWEST_SHARED = 100_000
"""Cells below which the rest is not cut smaller: a request more would take as long."""

_NO_REST = 25_000
"""Cells that are not left over for a request of their own."""


@dataclass(frozen=True, slots=True)
class PaceFacts:
    """What a pace came to.

    Attributes:
        cells_per_request: The size that all requests may have.
        largest_answer: Cells of the largest answer; 0 for none.
        smallest_refused: Cells of the smallest request that was refused of late; None for none.
    """

    cells_per_request: int
    largest_answer: int
    smallest_refused: int | None


class Pace:
    """The size of the next request, in cells. Safe to use from several threads.

    Above the first size, a server is never sent two requests of a size that it has not yet shown
    to bear. The last requests are so large that they end together, and none is waited for alone.

    Args:
        most_cells: Never ask for more.
        concurrency: Requests side by side.
        last: What an earlier pace with this server came to; None where there was none.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        most_cells: int,
        concurrency: int,
        last: PaceFacts | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._most = most_cells
        self._concurrency = concurrency
        self._clock = clock
        self._first = max(1, most_cells // _FIRST_SHARE)
        self._sizes = _sizes(self._first, most_cells)
        self._on_trial: dict[int, int] = {}
        self._largest_answer = 0 if last is None else min(last.largest_answer, most_cells)
        self._smallest_refused = None if last is None else last.smallest_refused
        self._smallest_slow: int | None = None
        self._answers_since_refusal = 0
        self._planned = 0
        self._under_way: dict[object, tuple[int, float]] = {}
        self._cells_per_second = 0.0

    def next_cells(self, left: int) -> tuple[int, int]:
        """Cells that the next request may ask for, and each of those that are sent with it.

        A size that the server has not answered yet is given once; until that answer has come,
        the others get the largest size that it has answered, or the first.

        Args:
            left: Cells that no request was planned for yet.
        """
        with self._lock:
            share = (left + self._planned + self._cells_under_way()) / self._concurrency
            shown = self._shown()
            others = _even(shown, left, share)
            untried = self._untried(shown)
            first = others if untried is None else _even(untried, left, share)
            return (first, others) if self._begins_trial(first) else (others, others)

    def may_send(self, given: int, cells: int) -> bool:
        """Whether a request may be sent that has fewer cells than it was given.

        It is then the trial of its own size, unless that was answered or is on trial already.
        """
        with self._lock:
            size = self._size_of(given)
            if size == self._size_of(cells):
                return True
            self._on_trial.pop(size, None)
            return cells <= self._shown() or self._begins_trial(cells)

    def plan(self, cells: int) -> None:
        """Requests for so many cells will be sent."""
        with self._lock:
            self._planned += cells

    @contextmanager
    def under_way(self, cells: int) -> Iterator[None]:
        """While a request for so many cells is on its way."""
        request = object()
        with self._lock:
            # Requests that a killed run had planned, and second tries, were not planned here.
            self._planned = max(0, self._planned - cells)
            self._under_way[request] = cells, self._clock()
        try:
            yield
        finally:
            with self._lock:
                del self._under_way[request]

    @property
    def facts(self) -> PaceFacts:
        """What it came to so far."""
        with self._lock:
            return PaceFacts(self._shown(), self._largest_answer, self._smallest_refused)

    def answered(self, cells: int, seconds: float) -> None:
        """A request of so many cells was answered."""
        with self._lock:
            self._end_trials(cells)
            if cells >= self._largest_answer / 2:  # a small one shows what a request costs
                self._cells_per_second = cells / max(seconds, 0.001)
            self._largest_answer = max(self._largest_answer, cells)
            self._answers_since_refusal += 1
            if self._answers_since_refusal > _FORGET_AFTER:
                self._smallest_refused = None
            if seconds > _SLOW_S:
                self._smallest_slow = min(cells, self._smallest_slow or cells)
            elif self._smallest_slow is not None and cells >= self._smallest_slow:
                self._smallest_slow = None

    def refused(self, cells: int) -> None:
        """A request of so many cells was more than the server could answer."""
        with self._lock:
            self._answers_since_refusal = 0
            self._on_trial = {size: age for size, age in self._on_trial.items() if size < cells}
            if self._smallest_refused is None or cells < self._smallest_refused:
                self._smallest_refused = cells

    def _shown(self) -> int:
        """What the server has shown to bear, or else the first size."""
        return min(max(self._first, self._largest_answer), self._limit())

    def _untried(self, shown: int) -> int | None:
        """The largest size that may be tried, and is not just being tried."""
        limit = self._limit()
        sizes = (size for size in self._sizes if shown < size <= limit)
        return next((size for size in sizes if size not in self._on_trial), None)

    def _begins_trial(self, cells: int) -> bool:
        """Put a size on trial that was not answered; false where it is, or was answered."""
        size = self._size_of(cells)
        if cells <= self._shown() or size in self._on_trial:
            return False
        self._on_trial[size] = 0
        return True

    def _size_of(self, cells: int) -> int:
        """The size that a request is a trial of; the first one for all that are not larger."""
        sizes = (self._first, *self._sizes)
        return min((size for size in sizes if cells <= size), default=self._most)

    def _end_trials(self, cells: int) -> None:
        """An answer ends its own trial, and in time those that came to nothing."""
        is_own = cells > self._largest_answer
        for size, answers in tuple(self._on_trial.items()):
            if (is_own and size == self._size_of(cells)) or answers >= _MOST_ANSWERS_ON_TRIAL:
                del self._on_trial[size]
            else:
                self._on_trial[size] = answers + 1

    def _cells_under_way(self) -> float:
        """What is still to come of the requests that were sent, by how fast others came."""
        now = self._clock()
        return sum(
            max(0.0, cells - (now - sent) * self._cells_per_second)
            for cells, sent in self._under_way.values()
        )

    def _limit(self) -> int:
        most = self._most
        if self._smallest_slow is not None:
            most = min(most, max(self._first, self._smallest_slow))
        if self._smallest_refused is None:
            return most
        limit = self._smallest_refused // 2
        if limit < self._largest_answer < self._smallest_refused:
            limit = self._largest_answer
        return min(most, max(_FEWEST_CELLS, limit))


def _sizes(first: int, most: int) -> tuple[int, ...]:
    """The sizes above the first one, the largest first."""
    sizes = []
    size = first * _GROWTH
    while size < most:
        sizes.append(size)
        size *= _GROWTH
    return (most, *reversed(sizes))


def _even(most: int, left: int, share: float) -> int:
    """The size of requests that are all alike, until what is left has been asked for.

    Args:
        most: Cells that one may ask for.
        left: Cells that no request was planned for yet.
        share: Cells that each of those who ask will have to ask for.
    """
    cells = max(math.ceil(share / math.ceil(share / most)), _FEWEST_SHARED) if share else most
    if left - cells < _NO_REST:
        cells = left if left <= most else math.ceil(left / 2)
    return max(1, min(cells, most))
