"""What one partition of a large project costs REDCap, beside the whole of it.

    python -m benchmarks.bucket [--records 100000] [--columns 200] [--buckets 64]

The records and instruments of a made-up project are materialized whole, then its first bucket
alone, each by a run of Dagster. The emulator counts what it was asked and what it sent.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from redcap_dagster import (
    RedcapProject,
    RedcapResource,
    build_redcap_assets,
    record_partitions,
)
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import AskedRequest, RedcapEmulator, synthetic_project
from redcap_dagster.export import read_design

TOKEN_ENV = "REDCAP_API_TOKEN"  # noqa: S105 - its name
INCLUDE = ["records", "instrument", "rejected_values"]


def main() -> int:
    """Measure both, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=200)
    parser.add_argument("--buckets", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RedcapEmulator() as redcap:
        token = redcap.add_project(synthetic_project(options.records, columns=options.columns))
        os.environ[TOKEN_ENV] = token
        with RedcapClient(redcap.url, token) as client:
            project = read_design(client)
        whole = asked_for(redcap, project, Path(folder))
        bucket = asked_for(redcap, project, Path(folder), record_partitions(options.buckets))
    say(f"{options.records:,} records of {options.columns} columns, {options.buckets} buckets\n")
    say("| | seconds | requests | records named | cells | MB |\n|---|---|---|---|---|---|")
    for name, (seconds, requests) in {"whole": whole, "one bucket": bucket}.items():
        say(line(name, requests, f"{seconds:.1f}"))
        for kind, own in by_kind(requests).items():
            say(line(f"{name}: {kind}", own))
    sent = [by_kind(requests)["records"] for _, requests in (whole, bucket)]
    shares = [total(sent[0], of) / total(sent[1], of) for of in ("records", "cells", "body_bytes")]
    records, cells, size = (f"1/{share:.1f}" for share in shares)
    say(f"\nThe bucket holds {records} of the records: {cells} of the cells, {size} of the bytes.")
    return 0


def asked_for(
    redcap: RedcapEmulator,
    project: RedcapProject,
    folder: Path,
    partitions: dg.PartitionsDefinition[str] | None = None,
) -> tuple[float, list[AskedRequest]]:
    """Seconds of a run of the first partition, or of everything, and what REDCap was asked."""
    assets = build_redcap_assets(
        project,
        out_dir=folder / ("bucket" if partitions else "whole"),
        include=INCLUDE,
        partitions_def=partitions,
        quality=None,
    )
    resource = RedcapResource(api_url=redcap.url, api_token=dg.EnvVar(TOKEN_ENV))
    redcap.requests.clear()
    started = time.perf_counter()
    dg.materialize(
        [assets],
        resources={"redcap": resource},
        partition_key=partitions.get_first_partition_key() if partitions else None,
        run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
    )
    return time.perf_counter() - started, list(redcap.requests)


def by_kind(requests: Iterable[AskedRequest]) -> dict[str, list[AskedRequest]]:
    """The requests for records by name, for lists of all rows, and for design and log."""
    kinds: dict[str, list[AskedRequest]] = {
        "records": [],
        "lists of rows": [],
        "design and log": [],
    }
    for request in requests:
        is_list = request.records is None
        kind = "lists of rows" if is_list else "records"
        kinds[kind if request.content == "record" else "design and log"].append(request)
    return kinds


def line(name: str, requests: list[AskedRequest], seconds: str = "") -> str:
    """One line of the table."""
    return (
        f"| {name} | {seconds} | {len(requests)} | {total(requests, 'records'):,} "
        f"| {total(requests, 'cells'):,} | {total(requests, 'body_bytes') / 1e6:.2f} |"
    )


def total(requests: Iterable[AskedRequest], of: str) -> int:
    """The sum of one count."""
    return sum(getattr(request, of) or 0 for request in requests)


def say(text: str) -> None:
    """Print a line of the result."""
    print(text, flush=True)  # noqa: T201 - what the benchmark is for


if __name__ == "__main__":
    sys.exit(main())
