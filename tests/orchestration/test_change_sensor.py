"""Only what changed in REDCap runs again."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from redcap_dagster import build_redcap_assets, build_redcap_change_sensor
from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError
from redcap_dagster.inbox import TriggerInbox
from redcap_dagster.orchestration.sensor_cursor import SensorCursor
from redcap_dagster.privacy import DEFAULT_KEY_ENV, DeidentificationOptions, Pseudonyms
from tests.orchestration.watched import BASELINE, Watch, Watched, bucket_of

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study


def test_nothing_new_costs_one_request_and_runs_nothing(watch: Watch) -> None:
    watched = watch()
    watched.asked()
    for _ in range(2):
        result = watched.tick()
        assert (result.run_requests, watched.asked()) == ([], ["log"])
        assert result.skip_reason is not None
        assert result.skip_reason.skip_message == "Nothing new in REDCap."


def test_a_change_runs_the_partition_that_holds_its_record_once(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[5]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    result = watched.tick()
    assert [request.partition_key for request in result.run_requests or []] == [
        bucket_of(record_id)
    ]
    # Asked again before the run is made, it requests the same run, which Dagster makes once.
    again = watched.tick()
    assert [item.run_key for item in again.run_requests or []] == [
        item.run_key for item in result.run_requests or []
    ]
    watched.run(result)
    assert watched.tick().run_requests == []
    assert 1.11 in {
        row["fev1_l"] for row in watched.study.table("spirometry", bucket_of(record_id))
    }


def test_changes_are_observed_in_counts_without_ids_or_values(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.12"})
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "-98765.43"})
    (observation,) = watched.tick().asset_events
    assert isinstance(observation, dg.AssetObservation)
    assert observation.asset_key == dg.AssetKey("records")
    assert observation.partition == bucket_of(record_id)
    assert {name: value.value for name, value in observation.metadata.items()} == {
        "redcap/updated": 2
    }
    assert record_id not in str(watched.cursor)
    assert "-98765.43" not in str(watched.cursor)


def test_what_another_run_has_exported_is_not_requested(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[3]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    watched.materialize(bucket_of(record_id))
    assert watched.tick().run_requests == []


def test_a_run_of_one_table_does_not_count_for_the_others(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[3]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    watched.study.materialize(
        assets=watched.assets, partition_key=bucket_of(record_id), selection=["demographics"]
    )
    assert watched.run(watched.tick()) == [bucket_of(record_id)]


def test_a_study_with_pseudonyms_is_kept_up_to_date_too(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "a key of tests, longer than 32 characters"
    monkeypatch.setenv(DEFAULT_KEY_ENV, key)
    watched = watch(deidentification=DeidentificationOptions())
    assert watched.tick().run_requests == []
    gone, *_, changed = watched.ids()
    watched.client.delete_records([gone])
    watched.import_rows({"participant_id": changed, **BASELINE, "fev1_l": "1.11"})
    assert set(watched.run(watched.tick())) == {bucket_of(gone), bucket_of(changed)}
    pseudonyms = Pseudonyms(key.encode(), 364)
    published = {dict(row)["participant_id"] for row in watched.published("records")}
    assert published == {pseudonyms.of(name) for name in watched.ids()}


def test_a_trigger_makes_the_sensor_ask_at_once_and_nothing_else_does(
    watch: Watch, tmp_path: Path
) -> None:
    watched = watch(inbox=tmp_path / "triggers", minimum_interval_seconds=600)
    assert watched.sensor.minimum_interval_seconds == 10
    watched.tick()
    watched.asked()
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    watched.asked()
    skipped = watched.tick()
    assert watched.asked() == []
    assert skipped.skip_reason is not None
    project_id = watched.study.project.info.project_id
    TriggerInbox(tmp_path / "triggers").add(project_id + 1, "1", "spirometry")
    watched.tick()
    assert watched.asked() == []
    TriggerInbox(tmp_path / "triggers").add(project_id, record_id, "spirometry")
    requests = watched.tick().run_requests or []
    assert [request.partition_key for request in requests] == [bucket_of(record_id)]


def test_a_change_of_the_design_runs_everything(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    fields = watched.client.export_metadata()
    watched.client.import_metadata([row for row in fields if row["field_name"] != "fvc_l"])
    assert watched.run(watched.tick()) == watched.keys
    assert watched.tick().run_requests == []


def test_everything_is_requested_now_and_then(watch: Watch) -> None:
    watched = watch(full_every=timedelta(days=1))
    watched.tick()
    cursor = SensorCursor.load(watched.cursor)
    assert cursor is not None
    long_ago = datetime.now(timezone.utc) - timedelta(days=2)
    watched.cursor = replace(cursor, full_at=long_ago).dump()
    assert watched.run(watched.tick()) == watched.keys
    assert watched.tick().run_requests == []


def test_what_was_never_materialized_is_left_alone(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    sensor = build_redcap_change_sensor(assets)
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    with dg.build_sensor_context(resources={"redcap": study.resource()}) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    assert "Nothing of this study has been materialized" in str(result.skip_reason)
    assert study.emulator.requests == []


def test_a_study_without_partitions_is_run_whole(study: "Study") -> None:
    assets = build_redcap_assets(
        study.project, out_dir=study.out_dir, include=["records", "spirometry"], quality=None
    )
    sensor = build_redcap_change_sensor(assets)
    dg.Definitions.validate_loadable(
        dg.Definitions(assets=[assets], sensors=[sensor], resources={"redcap": study.resource()})
    )
    with (
        RedcapClient(study.emulator.url, study.token, retries=0) as client,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        study.materialize(assets=assets, instance=instance)
        watched = Watched(study, client, instance, assets, sensor, [], [])
        assert watched.tick().run_requests == []
        record_id = watched.ids()[0]
        watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
        (request,) = watched.tick().run_requests or []
        assert request.partition_key is None
        tags = {"dagster/run_key": str(request.run_key)}
        selection = request.asset_selection
        study.materialize(assets=assets, instance=instance, selection=selection, tags=tags)
        assert watched.tick().run_requests == []
    assert 1.11 in {row["fev1_l"] for row in study.table("spirometry")}


def test_the_sensor_is_for_assets_of_this_package_that_hold_records(study: "Study") -> None:
    @dg.asset
    def stranger() -> None: ...

    with pytest.raises(ConfigError, match="not made by redcap_assets"):
        build_redcap_change_sensor(stranger)
    with pytest.raises(ConfigError, match="needs assets that hold records"):
        build_redcap_change_sensor(build_redcap_assets(study.project, include=["users"]))
    with pytest.raises(ConfigError, match="`server_timezone` is 'Berlin'"):
        build_redcap_change_sensor(build_redcap_assets(study.project), server_timezone="Berlin")
