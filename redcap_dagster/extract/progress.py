"""How far an extract is, in numbers that may be shown: never a value or a record id."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from redcap_dagster.export import ExportProgress

_SECONDS_BETWEEN_LINES = 15.0


@dataclass(frozen=True)
class ExtractState:
    """One moment of a running extract.

    Attributes:
        export: Counts of the export so far.
        retries: Requests that were sent again so far.
        seconds: Time since the export began.
    """

    export: ExportProgress
    retries: int
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """Time until the last record, if it goes on as before; None before the first one."""
        done, asked = self.export.records_done, self.export.records_asked
        return self.seconds * (asked - done) / done if done else None

    @property
    def cells_per_second(self) -> float:
        """Cells that came, by the time it took."""
        return self.export.cells / self.seconds if self.seconds else 0.0


class TellProgress(Protocol):
    """Is told how far an extract is, many times a second maybe."""

    def __call__(self, state: ExtractState) -> None:
        """Take one moment's state."""


class ProgressLines:
    """Writes a line now and then.

    Args:
        write: Takes a line.
        clock: Seconds that only grow.
    """

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._last = clock()

    def __call__(self, state: ExtractState) -> None:
        """Write a line when the last one is 15 seconds ago."""
        now = self._clock()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        self._write(describe_state(state))


def describe_state(state: ExtractState) -> str:
    """One moment in a sentence."""
    export = state.export
    left = state.seconds_left
    return (
        f"{export.records_done:,} of {export.records_asked:,} records, {export.cells:,} cells, "
        f"{state.cells_per_second:,.0f} cells a second, {state.retries} retries"
        + (f", about {left:.0f} s left." if left is not None else ".")
    )
