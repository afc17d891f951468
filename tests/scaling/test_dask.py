"""Studies on Dask workers in processes of their own."""

from typing import TYPE_CHECKING, Any

import pytest

from redcap_dagster.tables import has_extract
from tests.scaling.cluster import PARTICIPANTS, PATIENCE_S, free_port, records_of, wait_until

if TYPE_CHECKING:
    from tests.scaling.cluster import Cluster

KEY = "bucket-0-of-2"
STUDIES = ("north", "south")


def test_studies_go_to_workers_and_a_worker_that_is_killed_loses_nothing(
    cluster: "Cluster",
) -> None:
    pytest.importorskip("dagster_dask", reason="the group `scaling` is not installed")
    address = f"tcp://127.0.0.1:{free_port()}"
    cluster.start("distributed.cli.dask_scheduler", "--host", address, "--no-dashboard")

    def start_worker(name: str) -> Any:
        return cluster.start(
            *("distributed.cli.dask_worker", address, "--name", name, "--nthreads", "1"),
            *("--no-dashboard", "--local-directory", cluster.environment["TMPDIR"]),
        )

    run_config = {"execution": {"config": {"cluster": {"existing": {"address": address}}}}}
    shelves = [f"{cluster.out_dir}/{study}/{KEY}" for study in STUDIES]

    # The power fails in the middle of both exports.
    cluster.emulator.faults.add("latency", seconds=1, content="record")
    workers = [start_worker("one"), start_worker("two")]
    run = cluster.run("dask", KEY, run_config)
    wait_until(lambda: cluster.asked("record") > len(STUDIES), "the export")
    for process in (*workers, run):
        cluster.kill(process)
    assert not any(has_extract(shelf) for shelf in shelves)

    cluster.emulator.faults.clear()
    start_worker("three")
    start_worker("four")
    assert cluster.run("dask", KEY, run_config).wait(PATIENCE_S) == 0
    north, south = (records_of(shelf) for shelf in shelves)
    assert 0 < north == south < PARTICIPANTS
