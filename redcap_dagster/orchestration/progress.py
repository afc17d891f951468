"""Lines in Dagster's log that say how far a long export is."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from redcap_dagster.api import RedcapClient
from redcap_dagster.export import ExportProgress
from redcap_dagster.extract import ProgressLines, Telling, ToldAgain


@contextmanager
def logged_progress(
    context: dg.AssetExecutionContext, client: RedcapClient, progress: ExportProgress
) -> Iterator[Telling]:
    """A line every 15 seconds, also while REDCap takes long for an answer."""
    with ToldAgain(ProgressLines(context.log.info)) as tell:
        yield Telling(tell, client, progress)
