"""Whatever is killed while a study is kept up to date, it equals a full export in the end."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from example_pipeline.study.generate import make_study
from redcap_dagster.api import RedcapClient
from redcap_dagster.extract import extract_study
from redcap_dagster.tables import current_extract, read_published
from tests.orchestration.edits import ids_of, import_row, random_edit
from tests.orchestration.mortal import PARTITIONS, TABLES, Death, Site, is_killed, look, run

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

KEYS = PARTITIONS.get_partition_keys()
UNDER_WAY = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED]
MOST_DEATHS = 2
"""Of runs for one reason: the sensor leaves a partition alone after its third failed run."""

EFFECTS_OF_A_TICK = 30
EFFECTS_OF_A_RUN = 420
"""About as many as there are: a process that is to die after more lives on."""
DEATHS_OF_A_TICK = {
    "before the cursor is kept": Death(0, "os.rename", "tick.json"),
    "before a run is started": Death(1, "os.rename", "tick.json"),
}
DEATHS_OF_A_RUN = {
    "in the middle of the export": Death(9, "http.client.send"),
    "when the extract is visible": Death(1, "os.rename", "/current"),
    "when Dagster was told of some tables": Death(9, "os.rename", "/current"),
}


@dataclass
class Daemon:
    """Makes the processes of ticks and runs, and carries on when they were killed."""

    site: Site
    study: "Study"
    client: RedcapClient
    deaths: Counter[str] = field(default_factory=Counter)

    @property
    def deaths_of_runs(self) -> int:
        """How many there were."""
        return self.deaths.total() - self.deaths["tick"]

    def look(self, death: Death | None = None) -> None:
        """A tick; it leaves runs to be started."""
        self.deaths["tick"] += is_killed(death, look, self.site)

    def run(self, deaths: Iterator[Death | None]) -> int:
        """Run what was started, each run to its death or its end; says how many there were."""
        runs = self.site.runs_to_start()
        for partition_key, run_key in runs:
            self.site.forget_run(run_key)
            reason = run_key.partition("#")[0]
            death = next(deaths) if self.deaths[reason] < MOST_DEATHS else None
            self.deaths[reason] += is_killed(death, run, self.site, partition_key, run_key)
            self.see_dead_runs()
        return len(runs)

    def see_dead_runs(self) -> None:
        """Mark runs as failed whose process is gone, as the code server and daemon do."""
        with self.site.instance() as instance:
            for record in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)):
                instance.report_run_failed(record)

    def carry_on(self) -> None:
        """Look and run, unharmed, until there is nothing left to do."""
        for _ in range(MOST_DEATHS + 2):
            self.look()
            if not self.run(repeat(None)):
                return
        raise AssertionError("The sensor requests runs without end.")

    def assert_equals_a_full_export(self) -> None:
        extract_study(self.client, self.study.out_dir)
        for name in TABLES:
            parts = [read_published(self.site.out_dir / key, name) for key in KEYS]
            assert rows_of(*parts) == rows_of(read_published(self.study.out_dir, name)), name

    def assert_dagster_was_told(self) -> None:
        """What Dagster knows as the last materialization of a table is what readers see."""
        with self.site.instance() as instance:
            for key in KEYS:
                extract = current_extract(self.site.out_dir / key)
                for name in TABLES:
                    told = instance.fetch_materializations(
                        dg.AssetRecordsFilter(dg.AssetKey(name), asset_partitions=[key]), limit=1
                    )
                    materialization = told.records[0].asset_materialization
                    assert materialization is not None
                    extract_id = materialization.metadata["redcap/extract_id"].value
                    assert extract_id == extract.tables[name].extract_id, (key, name)


def rows_of(*tables: Any) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row.items()) for table in tables for row in table.to_pylist())


@pytest.fixture
def daemon(serve: Callable[..., "Study"], tmp_path: Path) -> Iterator[Daemon]:
    """A small study whose partitions were materialized once, and the sensor has looked once."""
    xml = tmp_path / "study.xml"
    xml.write_bytes(make_study(seed=3, participants=24))
    study = serve(xml)
    site = Site(tmp_path / "site", study.emulator.url, study.token)
    site.folder.mkdir()
    study.project.snapshot(site.folder / "study.json")
    with RedcapClient(study.emulator.url, study.token, retries=0) as client:
        daemon = Daemon(site, study, client)
        for key in KEYS:
            assert not is_killed(None, run, site, key, "the first")
        daemon.look()
        assert daemon.site.runs_to_start() == []
        yield daemon


def change(daemon: Daemon) -> float:
    """Give a participant a value that is nowhere else, and say which."""
    value = round(9 + daemon.deaths.total() / 100, 2)
    place = {"participant_id": ids_of(daemon.client)[0], "redcap_event_name": "baseline_arm_1"}
    import_row(daemon.client, {**place, "fev1_l": f"{value:.2f}"})
    return value


def assert_is_made_up_for(daemon: Daemon, value: float) -> None:
    daemon.carry_on()
    parts = [read_published(daemon.site.out_dir / key, "spirometry", ["fev1_l"]) for key in KEYS]
    assert sum(part["fev1_l"].to_pylist().count(value) for part in parts) == 1
    daemon.assert_dagster_was_told()


def test_a_tick_or_run_that_is_killed_is_made_up_for(daemon: Daemon) -> None:
    for number, (place, death) in enumerate(DEATHS_OF_A_TICK.items(), 1):
        value = change(daemon)
        daemon.look(death)
        assert daemon.deaths["tick"] == number, place
        assert_is_made_up_for(daemon, value)
    for number, (place, death) in enumerate(DEATHS_OF_A_RUN.items(), 1):
        value = change(daemon)
        daemon.look()
        assert daemon.run(repeat(death)) == 1
        assert daemon.deaths_of_runs == number, place
        assert_is_made_up_for(daemon, value)
    daemon.assert_equals_a_full_export()


def test_somebodys_run_that_is_killed_when_it_has_published_is_made_up_for(
    daemon: Daemon,
) -> None:
    for place in ("when the extract is visible", "when Dagster was told of some tables"):
        assert is_killed(DEATHS_OF_A_RUN[place], run, daemon.site, KEYS[0], place), place
        daemon.see_dead_runs()
        daemon.carry_on()
        daemon.assert_dagster_was_told()


@pytest.mark.parametrize("seed", range(2))
def test_after_any_edits_and_deaths_the_partitions_equal_a_full_export(
    daemon: Daemon, seed: int
) -> None:
    rng = random.Random(f"killed {seed}")  # noqa: S311 - deaths, not secrets

    def somewhere(most_effects: int) -> Death | None:
        return Death(rng.randrange(most_effects)) if rng.random() < 0.7 else None

    while daemon.deaths_of_runs < 3:
        for _ in range(rng.randrange(1, 3)):
            random_edit(daemon.client, daemon.study.project, rng)
        daemon.look(somewhere(EFFECTS_OF_A_TICK))
        if rng.random() < 0.3:
            # A daemon that was away for a day does not take up its last tick again.
            daemon.site.keep_tick(daemon.site.last_tick()["cursor"], [])
        daemon.run(somewhere(EFFECTS_OF_A_RUN) for _ in KEYS)
    daemon.carry_on()
    daemon.assert_equals_a_full_export()
    daemon.assert_dagster_was_told()
