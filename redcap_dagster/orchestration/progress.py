"""A line in Dagster's log now and then while a long export runs."""

import time

import dagster as dg

from redcap_dagster.export import ExportProgress

_SECONDS_BETWEEN_LINES = 15.0


class ProgressLog:
    """Tells how far an export is, at most every 15 seconds."""

    def __init__(self, context: dg.AssetExecutionContext, progress: ExportProgress) -> None:
        self._context = context
        self._progress = progress
        self._started = self._last = time.monotonic()

    def tell(self) -> None:
        """Log a line when the last one is long enough ago."""
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        done, asked = self._progress.records_done, self._progress.records_asked
        left = (now - self._started) * (asked - done) / max(done, 1)
        self._context.log.info(
            "%d of %d records, %d cells, about %.0f s left.",
            done,
            asked,
            self._progress.cells,
            left,
        )
