"""How much one request asks for: more while answers come fast, less where the server refuses."""

import threading
from dataclasses import dataclass

_FIRST_SHARE = 4
"""The first requests ask for a quarter of the budget, but for one, which tries twice as much."""

_GROWTH = 2
_SLOW_S = 20.0
"""An answer that takes longer is not followed by a larger one."""

_FEWEST_CELLS = 500
"""No refusal brings the size below this, unless the budget is smaller."""

_MOST_ANSWERS_ON_TRIAL = 20
"""Answers after which a larger size may be tried again: what it was cut for may have had less."""

_FORGET_AFTER = 50
"""Answers in a row after which a refusal is no longer held against its size."""


@dataclass(frozen=True, slots=True)
class PaceFacts:
    """What the pace came to, for the manifest."""

    cells_per_request: int
    largest_answer: int
    smallest_refused: int | None


class Pace:
    """The size of the next request, in cells. Safe to use from several threads.

    Above the first size, a server is never sent many requests of a size that it has not yet shown
    to bear.

    Args:
        most_cells: Never ask for more.
    """

    def __init__(self, most_cells: int) -> None:
        self._lock = threading.Lock()
        self._most = most_cells
        self._first = max(1, most_cells // _FIRST_SHARE)
        self._cells = min(most_cells, _GROWTH * self._first)
        self._on_trial: int | None = None
        self._answers_on_trial = 0
        self._largest_answer = 0
        self._smallest_refused: int | None = None
        self._answers_since_refusal = 0

    def next_cells(self) -> tuple[int, int]:
        """Cells that the next request may ask for, and each of those that are sent with it.

        A size that the server has not answered yet is given once; until that answer has come,
        the others get the largest size that it has answered, or the first.
        """
        with self._lock:
            bearable = min(max(self._first, self._largest_answer), self._limit())
            if self._cells <= bearable:
                return self._cells, self._cells
            if self._on_trial is not None:
                return bearable, bearable
            self._on_trial, self._answers_on_trial = self._cells, 0
            return self._cells, bearable

    @property
    def facts(self) -> PaceFacts:
        """What it came to so far."""
        with self._lock:
            return PaceFacts(self._cells, self._largest_answer, self._smallest_refused)

    def answered(self, cells: int, seconds: float) -> None:
        """A request of so many cells was answered."""
        with self._lock:
            self._answers_on_trial += 1
            if self._on_trial is not None and (
                cells > max(self._largest_answer, self._on_trial / 2)
                or self._answers_on_trial > _MOST_ANSWERS_ON_TRIAL
            ):
                self._on_trial = None
            self._largest_answer = max(self._largest_answer, cells)
            self._answers_since_refusal += 1
            if self._answers_since_refusal > _FORGET_AFTER:
                self._smallest_refused = None
            if seconds <= _SLOW_S:
                self._cells = max(self._cells, min(cells * _GROWTH, self._limit()))
            else:
                self._cells = min(self._cells, max(self._first, self._largest_answer))

    def refused(self, cells: int) -> None:
        """A request of so many cells was more than the server could answer."""
        with self._lock:
            self._answers_since_refusal = 0
            self._on_trial = None
            if self._smallest_refused is None or cells < self._smallest_refused:
                self._smallest_refused = cells
            self._cells = min(self._cells, self._limit())

    def _limit(self) -> int:
        if self._smallest_refused is None:
            return self._most
        limit = self._smallest_refused // 2
        if limit < self._largest_answer < self._smallest_refused:
            limit = self._largest_answer
        return min(self._most, max(_FEWEST_CELLS, limit))
