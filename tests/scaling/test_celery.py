"""Partitions of a study on Celery workers in processes of their own."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml

from redcap_dagster.tables import has_extract
from tests.scaling.cluster import PARTICIPANTS, PATIENCE_S, records_of, wait_until

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import Popen

    from tests.scaling.cluster import Cluster

BROKER = "redis://127.0.0.1:6379/0"
KEYS = ["bucket-0-of-2", "bucket-1-of-2"]
StartWorker = Callable[[str], "Popen[bytes]"]


@pytest.fixture
def config() -> Iterator[dict[str, Any]]:
    """How executor and workers find each other: keys of their own in the Redis on loopback."""
    redis = pytest.importorskip("redis", reason="the group `scaling` is not installed")
    pytest.importorskip("dagster_celery", reason="the group `scaling` is not installed")
    server = redis.Redis.from_url(BROKER)
    try:
        server.ping()
    except redis.ConnectionError as error:
        pytest.skip(f"no Redis to test with at {BROKER}: {error}")
    prefix = f"redcap-dagster-test-{uuid4().hex}-"
    yield {
        "broker": BROKER,
        "backend": BROKER,
        "config_source": {
            "broker_transport_options": {"global_keyprefix": prefix},
            "result_backend_transport_options": {"global_keyprefix": prefix},
        },
    }
    for key in server.scan_iter(f"{prefix}*"):
        server.delete(key)
    server.close()


@pytest.fixture
def start_worker(cluster: "Cluster", config: dict[str, Any], tmp_path: "Path") -> StartWorker:
    """Starts a worker with one process, which executes one step at a time."""
    settings = tmp_path / "celery.yaml"
    settings.write_text(yaml.safe_dump({"execution": {"config": config}}))
    queue = cluster.environment["STUDY_QUEUE"]

    def start(name: str) -> "Popen[bytes]":
        return cluster.start(
            *("dagster_celery.cli", "worker", "start", "-A", "dagster_celery.app"),
            *("-y", str(settings), "-q", queue, "-n", name, "--", "--concurrency=1"),
        )

    return start


def test_partitions_go_to_workers_and_a_worker_that_is_killed_loses_nothing(
    cluster: "Cluster", config: dict[str, Any], start_worker: StartWorker
) -> None:
    run_config = {"execution": {"config": config}}
    shelves = [f"{cluster.out_dir}/north/{key}" for key in KEYS]

    # The power fails in the middle of both exports.
    cluster.emulator.faults.add("latency", seconds=1, content="record")
    workers = [start_worker("one"), start_worker("two")]
    runs = [cluster.run("celery", key, run_config) for key in KEYS]
    wait_until(lambda: cluster.asked("record") > len(KEYS), "the export")
    for process in (*workers, *runs):
        cluster.kill(process)
    assert not any(has_extract(shelf) for shelf in shelves)

    cluster.emulator.faults.clear()
    start_worker("three")
    start_worker("four")
    runs = [cluster.run("celery", key, run_config) for key in KEYS]
    assert [run.wait(PATIENCE_S) for run in runs] == [0, 0]
    assert sum(records_of(shelf) for shelf in shelves) == PARTICIPANTS
