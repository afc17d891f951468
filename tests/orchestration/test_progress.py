"""What Dagster's log says of an export that takes long."""

import dagster as dg
import pytest

from redcap_dagster.extract import PHASES
from tests.orchestration.conftest import Study


def test_lines_come_while_redcap_takes_long_for_an_answer(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redcap_dagster.extract.progress._SECONDS_BETWEEN_LINES", 0.5)
    study.emulator.faults.add("latency", seconds=1.6, content="record", times=1)
    with dg.DagsterInstance.ephemeral() as instance:
        result = study.materialize(instance=instance, selection=["records"])
        logged = [entry.message for entry in instance.all_logs(result.run_id)]
    assert any(message.startswith(f"{PHASES['rows']}, for ") for message in logged)
