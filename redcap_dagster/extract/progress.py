"""How far an extract is, in numbers that may be shown: never a value or a record id."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

from typing_extensions import Self

from redcap_dagster.api import RedcapClient
from redcap_dagster.export import ExportProgress

_SECONDS_BETWEEN_LINES = 15.0


Phase: TypeAlias = Literal["design", "rows", "records", "changes", "publication"]
"""What an extract is at, in this order; after `changes` it may be at `records` again."""

PHASES: Mapping[Phase, str] = {
    "design": "Reading the study's design",
    "rows": "Asking which rows there are",
    "records": "Exporting records",
    "changes": "Asking what has changed meanwhile",
    "publication": "Publishing the tables",
}
"""Each phase in words."""


@dataclass(frozen=True)
class ExtractState:
    """One moment of a running extract.

    Attributes:
        export: Counts of the export so far.
        retries: Requests that were sent again so far.
        seconds: Time since the phase began.
        phase: What it is at.
    """

    export: ExportProgress
    retries: int
    seconds: float
    phase: Phase = "records"

    @property
    def seconds_left(self) -> float | None:
        """Time until the last record, if REDCap goes on as before; None before it has sent one."""
        export = self.export
        sent = export.records_done - export.records_from_disk
        return self.seconds * (export.records_asked - export.records_done) / sent if sent else None

    @property
    def cells_per_second(self) -> float:
        """Cells that REDCap sent, by the time it took; those that were on disk do not count."""
        export = self.export
        if not self.seconds or not export.records_done:
            return 0.0
        share_sent = 1 - export.records_from_disk / export.records_done
        return export.cells * share_sent / self.seconds


class TellProgress(Protocol):
    """Is told how far an extract is, many times a second maybe."""

    def __call__(self, state: ExtractState) -> None:
        """Take one moment's state."""


class Telling:
    """What a running extract tells: that a phase begins, and what has come.

    Args:
        tell: Is told; None for nobody.
        client: Counts retries.
        progress: Counts what has come.
    """

    def __init__(
        self, tell: TellProgress | None, client: RedcapClient, progress: ExportProgress
    ) -> None:
        self._tell = tell
        self._client = client
        self._progress = progress
        self._retries = client.stats.retries
        self._phase: Phase = "design"
        self._began = time.monotonic()

    def begin(self, phase: Phase) -> None:
        """Tell that a phase begins. It may take minutes on a slow server."""
        self._phase = phase
        self._began = time.monotonic()
        self.tell()

    def tell(self) -> None:
        """Tell how far it is."""
        if self._tell is not None:
            retries = self._client.stats.retries - self._retries
            seconds = time.monotonic() - self._began
            self._tell(ExtractState(self._progress, retries, seconds, self._phase))


class ToldAgain:
    """Tells the last state again from a thread of its own, as long as it is entered.

    So it is seen to be at work where REDCap takes long for an answer.

    Args:
        tell: Is told each state, by one thread at a time.
        seconds: From one telling to the next.
    """

    def __init__(self, tell: TellProgress, seconds: float = 1.0) -> None:
        self._tell = tell
        self._seconds = seconds
        self._last: tuple[ExtractState, float] | None = None
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="redcap-progress", daemon=True)

    def __call__(self, state: ExtractState) -> None:
        """Tell one moment's state."""
        with self._lock:
            self._last = (state, time.monotonic())
            self._tell(state)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _repeat(self) -> None:
        while not self._is_over.wait(self._seconds):
            with self._lock:
                if self._last is not None:
                    state, when = self._last
                    since = time.monotonic() - when
                    self._tell(replace(state, seconds=state.seconds + since))


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
    if state.phase != "records":
        return f"{PHASES[state.phase]}, for {state.seconds:.0f} s so far."
    export = state.export
    left = state.seconds_left
    return (
        f"{export.records_done:,} of {export.records_asked:,} records, {export.cells:,} cells, "
        f"{state.cells_per_second:,.0f} cells a second, {state.retries} retries"
    ) + (f", about {left:.0f} s left." if left else ".")
