"""A line in Dagster's log now and then while a long export runs."""

import time

import dagster as dg

from redcap_dagster.api import RedcapClient
from redcap_dagster.export import ExportProgress
from redcap_dagster.extract import ExtractState, ProgressLines


class ProgressLog:
    """Tells how far an export is, at most every 15 seconds."""

    def __init__(
        self, context: dg.AssetExecutionContext, client: RedcapClient, progress: ExportProgress
    ) -> None:
        self._lines = ProgressLines(context.log.info)
        self._client = client
        self._progress = progress
        self._retries = client.stats.retries
        self._began = time.monotonic()

    def tell(self) -> None:
        """Log a line when the last one is long enough ago."""
        retries = self._client.stats.retries - self._retries
        self._lines(ExtractState(self._progress, retries, time.monotonic() - self._began))
