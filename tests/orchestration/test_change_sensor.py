"""Only what changed in REDCap runs again, and what comes of it equals a full export."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from redcap_dagster import (
    build_redcap_assets,
    build_redcap_change_sensor,
    data_access_group_partitions,
    event_partitions,
    record_partitions,
)
from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError
from redcap_dagster.export import record_bucket
from redcap_dagster.inbox import TriggerInbox
from redcap_dagster.orchestration.sensor_cursor import SensorCursor
from redcap_dagster.privacy import DEFAULT_KEY_ENV, DeidentificationOptions, Pseudonyms
from tests.orchestration.edits import ids_of, random_edit

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

BUCKETS = 4
BASELINE = {"redcap_event_name": "baseline_arm_1"}
TABLES = ["records", "spirometry", "medications", "demographics"]


@dataclass
class Watched:
    """A study whose partitions a sensor keeps up to date, with the daemon's part played here."""

    study: "Study"
    client: RedcapClient
    instance: dg.DagsterInstance
    assets: dg.AssetsDefinition
    sensor: dg.SensorDefinition
    keys: list[str]
    tables: list[str]
    cursor: str | None = None

    def tick(self, **resource: Any) -> dg.SensorResult:
        """What one look says; the cursor is kept."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"redcap": self.study.resource(**resource)},
        ) as context:
            result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or self.cursor
        return result

    def run(self, result: dg.SensorResult) -> list[str]:
        """Run what was requested; gives the partitions."""
        for request in result.run_requests or []:
            assert set(request.asset_selection or []) == {
                key for key in self.assets.keys if self.assets.specs_by_key[key].partitions_def
            }
            self.materialize(request.partition_key, **{"dagster/run_key": str(request.run_key)})
        return [str(request.partition_key) for request in result.run_requests or []]

    def materialize(self, partition_key: str | None, **tags: str) -> None:
        self.study.materialize(
            assets=self.assets,
            instance=self.instance,
            partition_key=partition_key,
            selection=[
                key for key in self.assets.keys if self.assets.specs_by_key[key].partitions_def
            ],
            tags=tags,
            raise_on_error=False,
        )

    def asked(self) -> list[str]:
        """What the emulator was asked since last time."""
        contents = [request.content for request in self.study.emulator.requests]
        self.study.emulator.requests.clear()
        return contents

    def import_rows(self, *rows: dict[str, Any]) -> None:
        self.client.import_records(list(rows), overwrite_behavior="overwrite")

    def ids(self) -> list[str]:
        return ids_of(self.client)

    def published(self, table: str) -> Counter[tuple[Any, ...]]:
        """Rows of a table over all partitions."""
        folders = [key.replace("|", "+") for key in self.keys]
        return Counter(
            tuple(row.items()) for folder in folders for row in self.study.table(table, folder)
        )

    def assert_equals_a_full_export(self) -> None:
        fresh = replace(self.study, out_dir=self.study.out_dir / "full")
        fresh.materialize(selection=self.tables)
        for table in self.tables:
            full = Counter(tuple(row.items()) for row in fresh.table(table))
            assert self.published(table) == full, table


Watch = Callable[..., Watched]


@pytest.fixture
def watch(study: "Study") -> Iterator[Watch]:
    """Makes a watched study, materialized once."""
    with (
        dg.DagsterInstance.ephemeral() as instance,
        RedcapClient(study.emulator.url, study.token, retries=0) as client,
    ):

        def _watch(
            partitions: dg.PartitionsDefinition[str] | None = None,
            *,
            tables: list[str] = TABLES,
            deidentification: DeidentificationOptions | None = None,
            **options: Any,
        ) -> Watched:
            definition = partitions or record_partitions(BUCKETS)
            assets = build_redcap_assets(
                study.project,
                out_dir=study.out_dir,
                partitions_def=definition,
                include=[*tables, "rejected_values"],
                quality=None,  # a hundred checks a run, of which nothing is asked here
                deidentification=deidentification,
            )
            sensor = build_redcap_change_sensor(assets, **options)
            keys = [*definition.get_partition_keys()]
            watched = Watched(study, client, instance, assets, sensor, keys, tables)
            for key in keys:
                watched.materialize(key)
            return watched

        yield _watch


def bucket_of(record_id: str) -> str:
    return f"bucket-{record_bucket(record_id, BUCKETS)}-of-{BUCKETS}"


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


def test_a_rename_runs_the_partitions_of_both_ids(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    old = watched.ids()[0]
    new = next(f"N{n}" for n in range(99) if bucket_of(f"N{n}") != bucket_of(old))
    watched.client.rename_record(old, new)
    assert {bucket_of(old), bucket_of(new)} <= set(watched.run(watched.tick()))
    watched.assert_equals_a_full_export()


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


@pytest.mark.parametrize("cursor", [None, "", "nonsense", '{"version": 99}', '{"version": 1}'])
def test_a_lost_cursor_is_made_up_for_by_what_is_published(
    watch: Watch, cursor: str | None
) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    watched.cursor = cursor
    assert watched.run(watched.tick()) == [bucket_of(record_id)]
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


def test_everything_is_requested_now_and_then(watch: Watch) -> None:
    watched = watch(full_every=timedelta(days=1))
    watched.tick()
    cursor = SensorCursor.load(watched.cursor)
    assert cursor is not None
    long_ago = datetime.now(timezone.utc) - timedelta(days=2)
    watched.cursor = replace(cursor, full_at=long_ago).dump()
    assert watched.run(watched.tick()) == watched.keys
    assert watched.tick().run_requests == []


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


def test_without_the_logging_right_and_a_time_zone_it_says_what_to_do(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch()
    token = watched.study.emulator.add_user(watched.study.token, "reader", rights={"logging": 0})
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    with pytest.raises(ConfigError, match=r"no Logging right, .* `server_timezone`"):
        watched.tick()


def test_a_server_that_is_down_is_an_error_and_loses_nothing(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    with watched.study.emulator.away(), pytest.raises(Exception, match="nothing listens"):
        watched.tick()
    assert watched.run(watched.tick()) == [bucket_of(record_id)]


@pytest.mark.parametrize(
    ("kind", "seed"),
    [("bucket", 0), ("bucket", 1), ("group", 2), ("event", 3), ("no raw records", 4)],
)
def test_after_any_edits_the_partitions_equal_a_full_export(
    watch: Watch, study: "Study", kind: str, seed: int
) -> None:
    rng = random.Random(f"{kind} {seed}")  # noqa: S311 - edits, not secrets
    with RedcapClient(study.emulator.url, study.token) as client:
        groups = [row["unique_group_name"] for row in client.export_data_access_groups()]
    watched = watch(
        {
            "bucket": record_partitions(BUCKETS),
            "group": data_access_group_partitions(groups),
            "event": event_partitions(study.project),
            "no raw records": record_partitions(BUCKETS),
        }[kind],
        tables=TABLES[1:] if kind == "no raw records" else TABLES,
    )
    edit = partial(random_edit, watched.client, study.project)
    watched.tick()
    for _ in range(2):
        done = [edit(rng) for _ in range(rng.randrange(1, 6))]
        result = watched.tick()
        if rng.random() < 0.4:
            # The daemon is killed before it starts a run, and the cursor may be lost with it.
            watched.cursor = rng.choice([watched.cursor, None])
            done.append(edit(rng))
            result = watched.tick()
        watched.run(result)
        assert watched.tick().run_requests == [], done
    watched.assert_equals_a_full_export()


def test_the_sensor_is_for_assets_of_this_package_that_hold_records(study: "Study") -> None:
    @dg.asset
    def stranger() -> None: ...

    with pytest.raises(ConfigError, match="not made by redcap_assets"):
        build_redcap_change_sensor(stranger)
    with pytest.raises(ConfigError, match="needs assets that hold records"):
        build_redcap_change_sensor(build_redcap_assets(study.project, include=["users"]))


def test_a_study_without_partitions_is_run_whole(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
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
