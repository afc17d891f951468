"""What a manifest says of an export."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.export import ExportProgress, PaceFacts
from redcap_dagster.extract import last_pace
from redcap_dagster.extract.facts import export_facts
from redcap_dagster.tables import PublishedExtract


def test_replaced_bytes_are_counted_by_column() -> None:
    progress = ExportProgress(records_asked=2, records_done=2, replaced_by_column=Counter(name=3))
    facts = json.loads(json.dumps(export_facts(progress)))
    assert facts["replaced_by_column"] == {"name": 3}
    assert facts["records_asked"] == facts["records_done"] == 2


PACE = {"cells_per_request": 100, "largest_answer": 90, "smallest_refused": None}


def test_what_a_server_bore_is_read_from_the_manifest() -> None:
    assert last_pace(_extract({"pace": PACE})) == PaceFacts(100, 90, None)
    assert last_pace(_extract({"pace": {**PACE, "of_a_later_version": 1}})) == PaceFacts(
        100, 90, None
    )


@pytest.mark.parametrize("completeness", [None, {}, {"pace": None}, {"pace": {"size": 100}}])
def test_a_manifest_that_does_not_say_what_the_server_bore_says_nothing(
    completeness: dict[str, Any] | None,
) -> None:
    assert last_pace(_extract(completeness)) is None
    assert last_pace(None) is None


def _extract(completeness: dict[str, Any] | None) -> PublishedExtract:
    return PublishedExtract(Path("there"), "one", {}, {"completeness": completeness})
