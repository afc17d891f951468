"""Runs of a part of a study: partitions of which some are published, and tables of some assets."""

from datetime import date, datetime, timedelta, timezone
from typing import Any

import dagster as dg
import pytest

from redcap_dagster import build_redcap_assets, record_partitions
from redcap_dagster.api import RedcapClient
from redcap_dagster.export import LogDay
from redcap_dagster.export import read_log_day as read_day
from redcap_dagster.extract import verify_study
from redcap_dagster.orchestration.partition_export import PartitionExport
from redcap_dagster.tables import current_extract, has_extract
from tests.orchestration.conftest import Study
from tests.orchestration.runs import in_one_run


def extracts_told(instance: dg.DagsterInstance, key: str) -> dict[str, str]:
    """Partition to the extract that Dagster was told of last."""
    told = instance.fetch_materializations(dg.AssetRecordsFilter(dg.AssetKey(key)), limit=50)
    events = [record.asset_materialization for record in reversed(told.records)]
    return {
        event.partition: str(event.metadata["redcap/extract_id"].value)
        for event in events
        if event is not None and event.partition is not None
    }


def test_what_was_published_before_a_run_failed_is_told_to_dagster(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitions = record_partitions(3)
    keys = partitions.get_partition_keys()
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        include=["records"],
    )
    publish = PartitionExport.publish

    def fail_in_the_last(export: PartitionExport, own_tables: Any) -> Any:
        if export._partition_key == keys[-1]:
            study.emulator.faults.add("status", code=503, content="record")
        return publish(export, own_tables)

    monkeypatch.setattr(PartitionExport, "publish", fail_in_the_last)
    with dg.DagsterInstance.ephemeral() as instance:
        result = study.materialize(
            assets=assets, instance=instance, tags=in_one_run(keys), raise_on_error=False
        )
        told = extracts_told(instance, "records")
    assert not result.success
    published = {
        key: current_extract(study.out_dir / key).extract_id
        for key in keys
        if has_extract(study.out_dir / key)
    }
    assert list(published) == keys[:-1]
    assert told == published


@pytest.mark.parametrize("table", ["audit_log", "record_changes"])
def test_days_that_redcap_refused_are_not_materialized(
    table: str, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(timezone.utc).date()
    days = [(today - timedelta(days=ago)).isoformat() for ago in (3, 2, 1)]
    module = {"audit_log": "audit_log", "record_changes": "change_days"}[table]
    asked: list[date] = []

    def read_until_the_right_is_gone(client: RedcapClient, day: date) -> LogDay:
        asked.append(day)
        if len(asked) == 2:
            with RedcapClient(study.emulator.url, study.token, retries=0) as owner:
                owner.import_users([{"username": "api_user", "logging": 0}])
        return read_day(client, day)

    monkeypatch.setattr(
        f"redcap_dagster.orchestration.{module}.read_log_day", read_until_the_right_is_gone
    )
    settings: dict[str, Any] = {
        f"{table}_partitions": dg.DailyPartitionsDefinition(days[0], timezone="UTC")
    }
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        backfill_policy=dg.BackfillPolicy.single_run(),
        include=["project_info"],
        quality=None,
        **settings,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = study.materialize(assets=assets, instance=instance, tags=in_one_run(days))
        told = extracts_told(instance, table)
        materialized = instance.get_materialized_partitions(dg.AssetKey(table))
    assert result.success  # `project_info` came
    assert told == {days[0]: current_extract(study.out_dir / days[0]).extract_id}
    assert materialized == {days[0]}


def test_an_instrument_that_was_renamed_since_the_snapshot_is_no_lost_cell(study: "Study") -> None:
    with RedcapClient(study.emulator.url, study.token) as client:
        mappings = client.export_form_event_mappings()
        dictionary = client.export_metadata()
        for row in dictionary:
            row["form_name"] = row["form_name"].replace("laboratory", "lab_results")
        client.import_metadata(dictionary)
        for row in mappings:
            row["form"] = row["form"].replace("laboratory", "lab_results")
        client.import_form_event_mappings(mappings)
    names = ["records", "instrument", "rejected_values"]
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, include=names, quality=None)
    study.materialize(assets=assets)
    assert study.table("laboratory") == []
    assert current_extract(study.out_dir).tables["lab_results"].rows > 0
    assert [item.findings for item in verify_study(study.out_dir)] == [()]


@pytest.mark.parametrize("beside", [[], ["rejected_values", "quality_findings"]])
def test_what_comes_with_instruments_stays_when_something_else_runs(
    study: "Study", beside: list[str]
) -> None:
    """Also where it is no asset, and where it holds rows of instruments that are none."""
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        include=["records", "spirometry", "users", *beside],
    )
    study.materialize(assets=assets)
    tables = ["spirometry", "rejected_values", "quality_findings"]
    whole = {name: sorted(map(str, study.table(name))) for name in tables}
    assert all(whole.values())
    for selection in ("users", "spirometry"):
        study.materialize(assets=assets, selection=[selection])
        assert {name: sorted(map(str, study.table(name))) for name in tables} == whole
    schema = dg.AssetCheckKey(dg.AssetKey("spirometry"), "schema")
    assert study.materialize(assets=assets, selection=dg.AssetSelection.checks(schema)).success


def test_a_run_says_which_tables_it_takes_away(
    study: "Study", capsys: pytest.CaptureFixture[str]
) -> None:
    """They may be those of other assets, which somebody gave the same folder."""
    for name, table in {"first": "enrolment", "second": "users"}.items():
        assets = build_redcap_assets(
            study.project, out_dir=study.out_dir, include=[table], name=name, quality=None
        )
        job = dg.Definitions([assets], resources={"redcap": study.resource()})
        job.resolve_implicit_global_asset_job_def().execute_in_process()
    said = capsys.readouterr().err
    assert said.count("do not find") == 1
    assert "do not find enrolment, rejected_values there any more" in said
    assert set(current_extract(study.out_dir).tables) == {"users"}
