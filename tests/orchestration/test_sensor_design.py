"""The sensor goes on by the design as it is now, whatever the snapshot says."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from redcap_dagster import (
    build_redcap_assets,
    build_redcap_change_sensor,
    event_partitions,
    record_partitions,
)
from redcap_dagster.errors import ProjectMismatchError
from redcap_dagster.export import read_design
from tests.orchestration.watched import BASELINE, BUCKETS, TABLES, Watch, Watched, bucket_of

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

EXTRA = {"redcap_event_name": "extra_arm_1"}


def add_event(watched: Watched) -> None:
    """Give the study the event `extra_arm_1`, in which spirometry is filled in."""
    client = watched.client
    mappings = client.export_form_event_mappings()
    client.import_events(
        [{"event_name": "Extra", "arm_num": 1, "day_offset": "999", "offset_min": "0"}]
    )
    new = {"arm_num": 1, "unique_event_name": EXTRA["redcap_event_name"], "form": "spirometry"}
    client.import_form_event_mappings([*mappings, new])


def rename_record_id_field(watched: Watched, name: str) -> None:
    first, *others = watched.client.export_metadata()
    watched.client.import_metadata([{**first, "field_name": name}, *others])


def start_repeating(watched: Watched, instrument: str) -> None:
    client = watched.client
    client.import_repeating_instruments_events(
        [
            *client.export_repeating_instruments_events(),
            {"event_name": BASELINE["redcap_event_name"], "form_name": instrument},
        ]
    )


def keep_up(watched: Watched) -> list[str]:
    """Look and run until nothing is requested; gives the partitions that were."""
    asked: list[str] = []
    for _ in range(3):
        ran = watched.run(watched.tick())
        asked += ran
        if not ran:
            return asked
    raise AssertionError("The sensor requests runs without end.")


def test_rows_of_an_event_that_is_not_in_the_snapshot_are_kept_up(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    add_event(watched)
    assert keep_up(watched) == watched.keys
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **EXTRA, "fev1_l": "2.22"})
    assert keep_up(watched) == [bucket_of(record_id)]
    watched.client.delete_records([record_id])
    assert keep_up(watched) == [bucket_of(record_id)]
    watched.assert_equals_a_full_export()


def test_partitions_by_event_are_kept_up_beside_a_new_event(watch: Watch, study: "Study") -> None:
    watched = watch(event_partitions(study.project))
    watched.tick()
    add_event(watched)
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **EXTRA, "fev1_l": "2.22"})
    assert keep_up(watched) == watched.keys
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "2.23"})
    requests = watched.tick().run_requests or []
    assert [request.partition_key for request in requests] == watched.keys


def test_an_instrument_that_repeats_since_the_snapshot_is_kept_up(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    start_repeating(watched, "spirometry")
    assert keep_up(watched) == watched.keys
    record_id = watched.ids()[0]
    place = {"redcap_repeat_instrument": "spirometry", "redcap_repeat_instance": 2}
    row: dict[str, Any] = {"participant_id": record_id, **BASELINE, **place, "fev1_l": "2.22"}
    watched.import_rows(row)
    assert keep_up(watched) == [bucket_of(record_id)]
    # A record that has nothing but an instance has no row of its own.
    watched.import_rows({**row, "participant_id": "N1"})
    assert keep_up(watched) == [bucket_of("N1")]
    watched.client.delete_records(["N1"])
    assert keep_up(watched) == [bucket_of("N1")]
    watched.assert_equals_a_full_export()


def test_a_renamed_record_id_field_is_said_and_no_obstacle_to_the_new_snapshot(
    watch: Watch,
) -> None:
    watched = watch()
    watched.tick()
    rename_record_id_field(watched, "person_id")
    with pytest.raises(ProjectMismatchError, match="record id field participant_id"):
        watched.tick()
    project = read_design(watched.client)
    assets = build_redcap_assets(
        project,
        out_dir=watched.study.out_dir,
        partitions_def=record_partitions(BUCKETS),
        include=[*TABLES, "rejected_values"],
        quality=None,
    )
    study = replace(watched.study, project=project)
    sensor = build_redcap_change_sensor(assets)
    watched = replace(watched, study=study, assets=assets, sensor=sensor)
    requests = watched.tick().run_requests or []
    assert [request.partition_key for request in requests] == watched.keys
