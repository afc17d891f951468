"""A person at two pages: a backfill in Dagster's, an edit in the emulator's that a sensor sees."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from example_pipeline.study.generate import make_study
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.export import read_design, record_bucket
from redcap_dagster.tables import read_published
from tests.e2e.dagster_dev import DagsterPage, dagster_dev

BUCKETS = 4
LOCATION = "partitioned_study.py"
BACKFILLS = "{partitionBackfillsOrError{... on PartitionBackfills{results{id}}}}"
# Dagster's daemon looks at backfills every 30 seconds.
BACKFILL_MS = 240_000
SENSOR_MS = 90_000


@dataclass
class Study:
    """A partitioned study: its REDCap, its tables and Dagster's page of it."""

    redcap: RedcapEmulator
    dagster: DagsterPage

    def published(self) -> dict[str, Path]:
        """The extract that readers see, by partition."""
        keys = [f"bucket-{number}-of-{BUCKETS}" for number in range(BUCKETS)]
        return {key: (self.dagster.out_dir / key / "current").resolve() for key in keys}


@pytest.fixture(scope="module")
def study(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:  # noqa: ARG001 - skips first
    """Forty participants in four buckets, nothing materialized."""
    folder = tmp_path_factory.mktemp("partitioned")
    with RedcapEmulator() as redcap:
        token = redcap.add_project(make_study(seed=3, participants=40))
        with RedcapClient(redcap.url, token) as client:
            read_design(client).snapshot(folder / "study.json")
        variables = {
            "REDCAP_API_URL": redcap.url,
            "REDCAP_API_TOKEN": token,
            "STUDY_SNAPSHOT": str(folder / "study.json"),
            "STUDY_OUT_DIR": str(folder / "data"),
        }
        with dagster_dev(folder, "-f", f"tests/e2e/{LOCATION}", variables=variables) as dagster:
            yield Study(redcap, dagster)


def test_a_backfill_of_all_partitions_runs_to_its_end(
    study: Study, tab: Page, keep_picture: Callable[[str], None]
) -> None:
    tab.goto(f"{study.dagster.url}/asset-groups/")
    tab.get_by_role("button", name="Materialize all…").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_text("All", exact=True).click()
    dialog.get_by_role("button", name="Launch backfill").click()
    expect(dialog).to_be_hidden()
    (backfill,) = study.dagster.ask(BACKFILLS)["partitionBackfillsOrError"]["results"]
    tab.goto(f"{study.dagster.url}/runs/b/{backfill['id']}")
    expect(tab.get_by_text("Succeeded").nth(1)).to_be_visible(timeout=BACKFILL_MS)
    expect(tab.get_by_text("100% completed")).to_have_count(5)
    keep_picture("backfill")
    for folder in study.published().values():
        assert (folder / "spirometry.parquet").exists()


def edit_by_hand(study: Study, tab: Page, value: str) -> str:
    """Change the first FEV1 there is in the emulator's page; gives the record id."""
    tab.goto(study.redcap.url.removesuffix("api/"))
    tab.get_by_role("link", name="asthma cohort").click()
    tab.get_by_role("link", name="Spirometry", exact=True).click()
    record = tab.locator("main table a").first
    record_id = record.inner_text()
    record.click()
    tab.get_by_role("link", name="Spirometry", exact=True).first.click()
    tab.locator("#fev1_l").fill(value)
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_role("heading", name=f"Record {record_id}")).to_be_visible()
    return record_id


def test_the_sensor_runs_the_partition_of_an_edit_made_by_hand(
    study: Study, tab: Page, keep_picture: Callable[[str], None]
) -> None:
    before = study.published()
    sensor = f"{study.dagster.url}/locations/{LOCATION}/sensors/asthma_changes"
    tab.goto(sensor)
    tab.locator("label:has(input[type=checkbox])").first.click()
    expect(tab.get_by_text("0 runs requested").first).to_be_visible(timeout=SENSOR_MS)

    record_id = edit_by_hand(study, tab, "2.22")
    tab.get_by_role("link", name="Spirometry", exact=True).first.click()
    expect(tab.locator("#fev1_l")).to_have_value("2.22")
    keep_picture("edit")
    tab.get_by_role("link", name="asthma cohort").click()
    tab.get_by_role("link", name="Log").click()
    expect(tab.locator("main table")).to_contain_text("fev1_l = '2.22'")

    tab.goto(sensor)
    expect(tab.get_by_text("1 run requested").first).to_be_visible(timeout=SENSOR_MS)
    keep_picture("sensor")
    bucket = f"bucket-{record_bucket(record_id, BUCKETS)}-of-{BUCKETS}"
    deadline = time.monotonic() + SENSOR_MS / 1000
    while study.published()[bucket] == before[bucket]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    rows = read_published(study.dagster.out_dir / bucket, "spirometry").to_pylist()
    assert (record_id, 2.22) in {(row["participant_id"], row["fev1_l"]) for row in rows}
    changed = {key for key, folder in study.published().items() if folder != before[key]}
    assert changed == {bucket}
