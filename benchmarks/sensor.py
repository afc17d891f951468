"""What a look of the change sensor reads of tables in an object store, and how long it takes.

    python -m benchmarks.sensor [--partitions 64] [--delay 0.05]

Buckets of a made-up project are published in an S3 on loopback that answers late. Then the sensor
looks: for the first time, when nothing changed, and when one record did.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import dagster as dg
from moto.server import ThreadedMotoServer

from redcap_dagster import (
    RedcapProject,
    RedcapResource,
    build_redcap_assets,
    build_redcap_change_sensor,
    record_partitions,
)
from redcap_dagster.api import RedcapClient
from redcap_dagster.api.budget import FOLDER_VARIABLE
from redcap_dagster.emulator import RedcapEmulator, synthetic_project
from redcap_dagster.export import read_design

TOKEN_ENV = "REDCAP_API_TOKEN"  # noqa: S105 - its name
BUCKET = "benchmark"
RECORDS, COLUMNS = 2_000, 20


@dataclass
class LateStore:
    """An S3 that answers late while it is measured, and counts."""

    delay: float
    is_late: bool = False
    asked: int = 0

    def in_front_of(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """A WSGI app that waits and hands on to another."""

        def ask(environ: Mapping[str, Any], start_response: Any) -> Any:
            self.asked += 1
            time.sleep(self.delay if self.is_late else 0)
            return app(environ, start_response)

        return ask

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve, with what a client needs in the environment."""
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        http: Any = server._server  # noqa: SLF001 - moto has no other way to be asked late
        http.app = self.in_front_of(http.app)
        host, port = server.get_host_and_port()
        os.environ["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
        os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "any"))
        os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield
        server.stop()


def main() -> int:
    """Measure each number of partitions, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--partitions", type=int, nargs="+", default=[64])
    parser.add_argument("--delay", type=float, default=0.05)
    options = parser.parse_args()
    store = LateStore(options.delay)
    with RedcapEmulator() as redcap, store.running():
        token = redcap.add_project(synthetic_project(RECORDS, columns=COLUMNS))
        os.environ[TOKEN_ENV] = token
        say(f"{options.delay * 1000:.0f} ms for each answer of the store\n")
        say("| partitions | look | seconds | requests to the store | runs requested |")
        say("|---|---|---|---|---|")
        with RedcapClient(redcap.url, token) as client:
            project = read_design(client)
            for number in options.partitions:
                look = Looks(redcap, store, project, number)
                look("first")
                look("nothing changed")
                change_one_record(client, project)
                look("one record changed")
    return 0


class Looks:
    """The looks of one sensor, at partitions that are published when it is made."""

    def __init__(
        self, redcap: RedcapEmulator, store: LateStore, project: RedcapProject, partitions: int
    ) -> None:
        self._store = store
        self._partitions = partitions
        self._resource = RedcapResource(api_url=redcap.url, api_token=dg.EnvVar(TOKEN_ENV))
        self._instance = dg.DagsterInstance.ephemeral()
        self._cursor: str | None = None
        definition = record_partitions(partitions)
        assets = build_redcap_assets(
            project,
            out_dir=f"s3://{BUCKET}/{partitions}",
            partitions_def=definition,
            include=["records"],
            quality=None,
        )
        self._sensor = build_redcap_change_sensor(assets)
        keys = definition.get_partition_keys()
        # Not to wait for the budget of requests, which is for real servers.
        os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="redcap-benchmark-")
        for key in keys:
            dg.materialize(
                [assets],
                resources={"redcap": self._resource},
                partition_key=key,
                run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
            )

    def __call__(self, name: str) -> None:
        """Look, and print a line of the table."""
        self._store.asked, self._store.is_late = 0, True
        started = time.perf_counter()
        with dg.build_sensor_context(
            instance=self._instance, cursor=self._cursor, resources={"redcap": self._resource}
        ) as context:
            result = self._sensor(context)
        seconds = time.perf_counter() - started
        self._store.is_late = False
        if not isinstance(result, dg.SensorResult):
            raise TypeError("The sensor gave no result.")
        self._cursor = result.cursor
        requested = len(result.run_requests or [])
        say(
            f"| {self._partitions} | {name} | {seconds:.1f} | {self._store.asked:,} | {requested} |"
        )


def change_one_record(client: RedcapClient, project: RedcapProject) -> None:
    """Write one value, another one each time."""
    id_field = project.record_id_field
    text = next(
        item.name
        for item in project.iter_fields()
        if item.field_type == "text" and item.name != id_field and not item.validation
    )
    record_id = client.export_records(fields=[id_field])[0][id_field]
    client.import_records([{id_field: record_id, text: str(time.time_ns())}])


def say(text: str) -> None:
    """Print a line of the result."""
    print(text, flush=True)  # noqa: T201 - what the benchmark is for


if __name__ == "__main__":
    sys.exit(main())
