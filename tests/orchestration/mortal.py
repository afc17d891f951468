"""Processes that look after a study as Dagster's daemon and its workers do, and die where told.

What a process does to the world it does where it writes a file, sends a request or opens a
database, and between two of these it makes no difference when it dies. Python's audit events name
them, so they are the places at which these processes can be killed.
"""

import itertools
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from redcap_dagster import (
    RedcapProject,
    RedcapResource,
    build_redcap_assets,
    build_redcap_change_sensor,
    record_partitions,
)
from redcap_dagster.api.budget import FOLDER_VARIABLE

TABLES = ["records", "spirometry", "medications", "rejected_values"]
PARTITIONS = record_partitions(2)
RUN_KEY = "dagster/run_key"

_EFFECTS = {
    "http.client.send",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "sqlite3.connect",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Death:
    """Where a process is killed.

    Attributes:
        effects: How many effects it still has, from the moment named by the others.
        event: The audit event of that moment; "" for the process's beginning.
        path: How the path of the event ends.
    """

    effects: int
    event: str = ""
    path: str = ""

    def await_it(self) -> None:
        """Make this process mortal."""
        counter = itertools.count()
        is_near = [not self.event]

        def on_event(event: str, args: tuple[Any, ...]) -> None:
            if is_near[0]:
                if _is_effect(event, args) and next(counter) >= self.effects:
                    os.kill(os.getpid(), signal.SIGKILL)
            elif event == self.event and str(args[1]).endswith(self.path):
                is_near[0] = True

        sys.addaudithook(on_event)


def _is_effect(event: str, args: tuple[Any, ...]) -> bool:
    return event in _EFFECTS or (event == "open" and bool(args[2] & _WRITES))


@dataclass(frozen=True)
class Site:
    """A folder that the processes share: Dagster's storage, the tables, ticks, runs to start."""

    folder: Path
    api_url: str
    token: str = field(repr=False)

    @property
    def out_dir(self) -> Path:
        """Where tables are published."""
        return self.folder / "published"

    def instance(self) -> dg.DagsterInstance:
        """Dagster's storage on disk."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return dg.DagsterInstance.local_temp(str(home))

    def assets(self) -> dg.AssetsDefinition:
        """The study in partitions."""
        return build_redcap_assets(
            RedcapProject.from_snapshot(self.folder / "study.json"),
            out_dir=self.out_dir,
            partitions_def=PARTITIONS,
            include=TABLES,
            quality=None,
        )

    def resource(self) -> RedcapResource:
        """The study's REDCap, asked for little at a time."""
        return RedcapResource(
            api_url=self.api_url,
            api_token=dg.EnvVar("REDCAP_API_TOKEN"),
            requests_per_minute=599,
            cells_per_request=1_000,
            retries=0,
        )

    def last_tick(self) -> dict[str, Any]:
        """The cursor that was kept, and the runs that were requested with it."""
        tick: dict[str, Any] = {"cursor": None, "requests": []}
        file = self.folder / "tick.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else tick

    def keep_tick(self, cursor: str | None, requests: list[list[str]]) -> None:
        """Remember both in one step."""
        new = self.folder / "tick.new"
        new.write_text(json.dumps({"cursor": cursor, "requests": requests}), encoding="utf-8")
        new.replace(self.folder / "tick.json")

    def runs_to_start(self) -> list[list[str]]:
        """Partition and run key of runs that were started, and whose process is to be made."""
        files = sorted(self.folder.glob("*.run"))
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]

    def start_run(self, partition_key: str, run_key: str) -> None:
        """Have a run made."""
        new = self.folder / "run.new"
        new.write_text(json.dumps([partition_key, run_key]), encoding="utf-8")
        new.replace(self.folder / f"{run_key}.run")

    def forget_run(self, run_key: str) -> None:
        """The process of this run was made."""
        (self.folder / f"{run_key}.run").unlink()


def look(site: Site) -> None:
    """One tick of the sensor, or the rest of one that was killed before it started its runs.

    In Dagster's order: the cursor is kept together with the requests, then runs are started.
    """
    tick = site.last_tick()
    if not tick["requests"]:
        tick = _evaluate(site, tick["cursor"])
    for partition_key, run_key in tick["requests"]:
        with site.instance() as instance:
            if not instance.get_runs(dg.RunsFilter(tags={RUN_KEY: run_key})):
                site.start_run(partition_key, run_key)
    site.keep_tick(tick["cursor"], [])


def _evaluate(site: Site, cursor: str | None) -> dict[str, Any]:
    with (
        site.instance() as instance,
        dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"redcap": site.resource()}
        ) as context,
    ):
        result = build_redcap_change_sensor(site.assets())(context)
    assert isinstance(result, dg.SensorResult)
    requests = [[str(item.partition_key), str(item.run_key)] for item in result.run_requests or []]
    site.keep_tick(result.cursor, requests)
    return site.last_tick()


def run(site: Site, partition_key: str, run_key: str) -> None:
    """One run of a partition."""
    with site.instance() as instance:
        dg.materialize(
            [site.assets()],
            instance=instance,
            partition_key=partition_key,
            tags={RUN_KEY: run_key},
            resources={"redcap": site.resource()},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def is_killed(
    death: Death | None, what: Callable[..., None], site: Site, *arguments: object
) -> bool:
    """Do something in a process of its own; whether that was killed on the way."""
    processes = multiprocessing.get_context("forkserver")
    # What every process needs is imported once.
    processes.set_forkserver_preload([__name__, "tests.orchestration.mortal_imports"])
    process = processes.Process(target=_live, args=(death, what, site, *arguments))
    process.start()
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0


def _live(death: Death | None, what: Callable[..., None], site: Site, *arguments: object) -> None:
    os.environ["REDCAP_API_TOKEN"] = site.token
    # Processes lie minutes apart to the budget of requests.
    os.environ[FOLDER_VARIABLE] = str(site.folder / f"budget-{os.getpid()}")
    if death is not None:
        death.await_it()
    what(site, *arguments)
