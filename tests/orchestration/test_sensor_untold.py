"""What a dead run has published is requested once more, since Dagster does not know of it."""

from dataclasses import replace

import dagster as dg

from tests.orchestration.runs import in_one_run
from tests.orchestration.watched import BASELINE, Watch, Watched, bucket_of


def die(watched: Watched, tags: dict[str, str], *untold: str) -> None:
    """Somebody's run that publishes partitions, and is gone before it tells Dagster."""
    job = dg.Definitions([watched.assets], resources={"redcap": watched.study.resource()})
    run = watched.instance.create_run_for_job(
        job.resolve_implicit_global_asset_job_def(),
        tags=tags,
        status=dg.DagsterRunStatus.STARTED,
    )
    with dg.DagsterInstance.ephemeral() as elsewhere:
        for key in untold:
            replace(watched, instance=elsewhere).materialize(key)
    watched.instance.report_run_failed(run)


def test_what_somebodys_dead_run_has_published_is_requested_once(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    key = bucket_of(record_id)
    for tags in ({"dagster/partition": key}, in_one_run(watched.keys)):
        watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
        die(watched, tags, key)
        assert watched.run(watched.tick()) == [key]
        for _ in range(2):
            watched.asked()
            assert (watched.tick().run_requests, watched.asked()) == ([], ["log"])


def test_a_failed_run_that_has_published_nothing_is_somebody_elses_matter(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    watched.study.emulator.faults.add("status", code=500, content="record")
    watched.materialize(watched.keys[0])
    watched.study.emulator.faults.clear()
    assert watched.instance.get_runs(limit=1)[0].status is dg.DagsterRunStatus.FAILURE
    assert watched.tick().run_requests == []


def test_what_was_published_without_dagster_is_left_alone(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    with dg.DagsterInstance.ephemeral() as elsewhere:
        replace(watched, instance=elsewhere).materialize(bucket_of(record_id))
    assert watched.tick().run_requests == []


def test_tables_whose_events_were_wiped_are_left_alone(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    watched.instance.wipe_assets([*watched.assets.keys])
    assert watched.tick().run_requests == []
    record_id = watched.ids()[0]
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    assert watched.run(watched.tick()) == [bucket_of(record_id)]
    assert watched.tick().run_requests == []


def test_a_request_for_what_was_never_told_is_tried_again_when_it_fails(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    (key, *_) = watched.keys
    die(watched, {"dagster/partition": key}, key)
    (request,) = watched.tick().run_requests or []
    die(watched, {"dagster/run_key": str(request.run_key), "dagster/partition": key})
    (again,) = watched.tick().run_requests or []
    assert (again.partition_key, again.run_key) == (key, str(request.run_key).replace("#1", "#2"))
    watched.run(watched.tick())
    assert watched.tick().run_requests == []
