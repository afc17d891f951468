"""What the manifest of an extract says beside its tables. No values, record ids or tokens."""

import time
from dataclasses import fields
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from redcap_dagster.api import RedcapClient, RequestStats
from redcap_dagster.export import ExportProgress, PaceFacts, StudyExport
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import PublishedExtract


class ExportFacts:
    """What the manifest says of an export, whoever publishes it; the clock runs from the making on.

    Args:
        client: Sends the requests that are counted.
        partition_key: The partition that is exported; None where there is none.
    """

    def __init__(self, client: RedcapClient, partition_key: str | None = None) -> None:
        self._client = client
        self._partition_key = partition_key
        self._stats = client.stats
        self._began = datetime.now(timezone.utc)
        self._clock = time.monotonic()

    def facts(self, project: RedcapProject, export: StudyExport | None) -> dict[str, Any]:
        """The facts as they are now.

        Args:
            project: The study's design by which the tables were laid out.
            export: The settled export of records; None where none was needed.
        """
        progress = ExportProgress() if export is None else export.progress
        return {
            **design_facts(project),
            "api_url": self._client.api_url,
            "partition": self._partition_key,
            "completeness": None if export is None else export.facts(),
            "export": export_facts(progress),
            **_request_facts(self._client.stats, self._stats),
            "began": self._began.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 3),
        }


def design_facts(project: RedcapProject) -> dict[str, Any]:
    """Which versions, which project, and by which design."""
    return {
        "package_version": version("redcap-dagster"),
        "redcap_version": project.redcap_version,
        "project_id": project.info.project_id,
        "design_fingerprint": project.fingerprint,
    }


def export_facts(progress: ExportProgress) -> dict[str, Any]:
    """The counts of an export: records asked and received, rows, cells, bytes, splits."""
    # Not `asdict`, which makes pairs of a Counter's keys.
    counts = {item.name: getattr(progress, item.name) for item in fields(progress)}
    return {**counts, "replaced_by_column": dict(progress.replaced_by_column)}


def last_pace(extract: PublishedExtract | None) -> PaceFacts | None:
    """How much the server bore when an extract was made; None where no manifest says it."""
    completeness = None if extract is None else extract.facts.get("completeness")
    pace = completeness.get("pace") if isinstance(completeness, dict) else None
    if not isinstance(pace, dict):
        return None
    # Another version's may be others, and somebody may have edited them.
    size, largest = pace.get("cells_per_request"), pace.get("largest_answer")
    refused = pace.get("smallest_refused", "unknown")
    if not (isinstance(size, int) and isinstance(largest, int) and isinstance(refused, int | None)):
        return None
    return PaceFacts(size, largest, refused)


def _request_facts(now: RequestStats, before: RequestStats) -> dict[str, Any]:
    """What was sent between two looks at a client's counts."""
    return {
        "requests": now.requests - before.requests,
        "retries": now.retries - before.retries,
        "answers_not_believed": now.failures - before.failures,
        "bytes_received": now.bytes_received - before.bytes_received,
        "seconds_waited": round(now.waited_s - before.waited_s, 3),
    }
