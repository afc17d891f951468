"""Failed runs, a lost cursor, a server or a right that is not there: nothing is missed."""

from dataclasses import replace

import dagster as dg
import pytest

from redcap_dagster import build_redcap_assets, build_redcap_change_sensor, record_partitions
from redcap_dagster.errors import ConfigError
from tests.orchestration.watched import BASELINE, BUCKETS, Watch, bucket_of

LOST_CURSORS = [None, "", "nonsense", '{"version": 99}', '{"version": 1}']


def test_a_failed_run_is_requested_again_three_times_and_then_waits(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    keys = []
    for _ in range(3):
        result = watched.tick()
        (request,) = result.run_requests or []
        keys.append(request.run_key)
        watched.study.emulator.faults.add("status", code=500, content="record")
        watched.run(result)
        watched.study.emulator.faults.clear()
    assert len(set(keys)) == 3
    result = watched.tick()
    assert result.run_requests == []
    assert "1 partitions failed 3 times" in str(result.skip_reason)
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.12"})
    assert watched.run(watched.tick()) == [bucket_of(record_id)]


def test_a_partition_that_is_gone_is_not_requested_any_more(watch: Watch) -> None:
    """Dagster refuses a run of it, and with it everything else that the look has found."""
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    (request,) = watched.tick().run_requests or []
    for partitions in (record_partitions(BUCKETS + 1), None):
        assets = build_redcap_assets(
            watched.study.project,
            out_dir=watched.study.out_dir,
            partitions_def=partitions,
            include=["records"],
            quality=None,
        )
        now = replace(watched, sensor=build_redcap_change_sensor(assets))
        assert now.tick().run_requests == []
        assert str(request.partition_key) not in str(now.cursor)


def test_a_run_that_was_made_and_never_started_is_requested_again(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    (request,) = watched.tick().run_requests or []
    job = dg.Definitions([watched.assets], resources={"redcap": watched.study.resource()})
    watched.instance.create_run_for_job(
        job.resolve_implicit_global_asset_job_def(), tags={"dagster/run_key": str(request.run_key)}
    )
    (again,) = watched.tick().run_requests or []
    assert again.run_key == request.run_key


def test_a_run_that_dies_after_it_was_seen_to_have_published_is_requested_again(
    watch: Watch,
) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    (request,) = watched.tick().run_requests or []
    job = dg.Definitions([watched.assets], resources={"redcap": watched.study.resource()})
    run = watched.instance.create_run_for_job(
        job.resolve_implicit_global_asset_job_def(),
        tags={"dagster/run_key": str(request.run_key)},
        status=dg.DagsterRunStatus.STARTED,
    )
    with dg.DagsterInstance.ephemeral() as elsewhere:  # so that Dagster is told nothing
        replace(watched, instance=elsewhere).materialize(request.partition_key)
    assert watched.tick().run_requests == []
    watched.instance.report_run_failed(run)
    assert watched.run(watched.tick()) == [request.partition_key]
    assert watched.tick().run_requests == []


def test_a_lost_cursor_is_made_up_for_by_what_is_published(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    for number, cursor in enumerate(LOST_CURSORS):
        value = {"fev1_l": f"1.1{number}"}
        watched.import_rows({"participant_id": record_id, **BASELINE, **value})
        watched.cursor = cursor
        assert watched.run(watched.tick()) == [bucket_of(record_id)], cursor
        assert watched.tick().run_requests == [], cursor


def test_a_server_that_is_down_is_an_error_and_loses_nothing(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    with watched.study.emulator.away(), pytest.raises(Exception, match="nothing listens"):
        watched.tick()
    assert watched.run(watched.tick()) == [bucket_of(record_id)]


def test_without_the_logging_right_changes_are_found_by_date_and_by_the_list(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch(server_timezone="UTC")
    token = watched.study.emulator.add_user(watched.study.token, "reader", rights={"logging": 0})
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    assert watched.run(watched.tick()) == watched.keys
    deleted, changed = watched.ids()[:2]
    watched.client.delete_records([deleted])
    watched.import_rows({"participant_id": changed, **BASELINE, "fev1_l": "1.11"})
    result = watched.tick()
    assert {bucket_of(deleted), bucket_of(changed)} <= set(watched.run(result))
    watched.assert_equals_a_full_export()


def test_what_changes_after_the_logging_right_was_taken_away_is_found_all_the_same(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch(server_timezone="UTC")
    assert watched.run(watched.tick()) == []
    token = watched.study.emulator.add_user(watched.study.token, "reader", rights={"logging": 0})
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    deleted, changed = watched.ids()[:2]
    watched.client.delete_records([deleted])
    watched.import_rows({"participant_id": changed, **BASELINE, "fev1_l": "1.11"})
    assert {bucket_of(deleted), bucket_of(changed)} <= set(watched.run(watched.tick()))
    watched.assert_equals_a_full_export()


def test_without_the_logging_right_and_a_time_zone_it_says_what_to_do(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch()
    token = watched.study.emulator.add_user(watched.study.token, "reader", rights={"logging": 0})
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    with pytest.raises(ConfigError, match=r"no Logging right, .* `server_timezone`"):
        watched.tick()
