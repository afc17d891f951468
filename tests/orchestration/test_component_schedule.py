"""The schedule and the sensor that a study's YAML asks for."""

from datetime import datetime, timezone

import dagster as dg

from tests.orchestration.component_sandbox import DAGSTERS_OWN_WARNINGS, Load

pytestmark = DAGSTERS_OWN_WARNINGS


def requests_of(defs: dg.Definitions, name: str, instance: dg.DagsterInstance) -> list[str | None]:
    """Partition keys that a tick of a schedule on 23 November, at three, requests."""
    dg.Definitions.validate_loadable(defs)
    schedule = defs.resolve_schedule_def(name)
    at = datetime(2026, 11, 23, 3, tzinfo=timezone.utc)
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, repository_def=defs.get_repository_def()
    ) as context:
        tick = schedule.evaluate_tick(context)
    return [request.partition_key for request in tick.run_requests or []]


def test_the_schedule_of_a_study_without_partitions_runs_it_all_at_once(load: Load) -> None:
    _, defs = load(schedule="0 3 * * *")
    (schedule,) = defs.schedules or []
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.name, schedule.cron_schedule) == ("redcap_lungs_schedule", "0 3 * * *")
    with dg.instance_for_test() as instance:
        assert requests_of(defs, "redcap_lungs_schedule", instance) == [None]


def test_the_schedule_of_a_study_runs_each_partition_and_each_day_that_lacks(load: Load) -> None:
    _, defs = load(schedule="0 3 * * *", record_buckets=2, audit_log_since="2026-11-20")
    log = dg.AssetKey(["lungs", "audit_log"])
    with dg.instance_for_test() as instance:
        assert requests_of(defs, "redcap_lungs_schedule_whole_tables", instance) == [None]
        assert requests_of(defs, "redcap_lungs_schedule", instance) == [
            "bucket-0-of-2",
            "bucket-1-of-2",
        ]
        assert requests_of(defs, "redcap_lungs_schedule_days", instance) == [
            "2026-11-20",
            "2026-11-21",
            "2026-11-22",
        ]
        instance.report_runless_asset_event(dg.AssetMaterialization(log, partition="2026-11-21"))
        assert requests_of(defs, "redcap_lungs_schedule_days", instance) == [
            "2026-11-20",
            "2026-11-22",
        ]


def test_the_schedule_requests_days_that_the_log_or_the_changes_lack(load: Load) -> None:
    since = {"audit_log_since": "2026-11-20", "schedule": "0 3 * * *", "include": []}
    _, defs = load(**since, record_changes_since="2026-11-20")
    log, changes = dg.AssetKey(["lungs", "audit_log"]), dg.AssetKey(["lungs", "record_changes"])
    with dg.instance_for_test() as instance:
        for day in ("2026-11-20", "2026-11-21", "2026-11-22"):
            instance.report_runless_asset_event(dg.AssetMaterialization(log, partition=day))
        done = dg.AssetMaterialization(changes, partition="2026-11-21")
        instance.report_runless_asset_event(done)
        assert requests_of(defs, "redcap_lungs_schedule_days", instance) == [
            "2026-11-20",
            "2026-11-22",
        ]
        _, defs = load(**since, record_changes_since="2026-11-22")
        wanted = "redcap_lungs_schedule_days_of_record_changes"
        assert requests_of(defs, wanted, instance) == ["2026-11-22"]
        wanted = "redcap_lungs_schedule_days_of_audit_log"
        assert requests_of(defs, wanted, instance) == []


def test_the_sensor_comes_from_the_yaml_and_is_off(load: Load) -> None:
    _, defs = load(change_sensor={"minimum_interval_seconds": 600, "full_every_days": None})
    (sensor,) = defs.sensors or []
    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.name == "redcap_lungs_changes"
    assert sensor.minimum_interval_seconds == 600
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    dg.Definitions.validate_loadable(defs)
    _, defs = load(change_sensor=True)
    assert len(list(defs.sensors or [])) == 1
    _, defs = load()
    assert list(defs.sensors or []) == []
