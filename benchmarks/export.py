"""A whole export over HTTP, beside what the field does with the same server.

    python -m benchmarks.export [--quick] [--workloads small large wide sparse] [--rounds 3]
                                [--modes fast slow limit] [--charts docs/images]

The server only slices prepared bytes and runs in a process of its own, as each contestant does.
Contestants take turns, in rounds. What imports cost is left out of the clock; memory is that of
the whole process tree.

Fast server:

- floor: a bare socket, streamed through `pyarrow.csv` with known types into one Parquet file.
- typed: `redcap-dagster export --no-raw`: typed tables, rejected values, proof, manifest.
- raw and typed: `redcap-dagster export`: `records` beside them.
- chunks of PyCap: its documented `chunked_export` of 1,000 records, a frame, one Parquet file.
- requests and pandas: one request, `pandas.read_csv`, one Parquet file.
- floor to a frame: as the floor, to pandas.
- typed to frames: `read_study`, then every table to pandas.

Slow server (50 ms and 2 µs a cell, four workers, dies above a million cells):

- four bare requesters: they know the limit, and keep nothing.
- raw and typed, chunks of PyCap, requests and pandas: as above.

A limit of 100,000 cells that nobody knows of: raw and typed.
"""

import argparse
import http.client
import io
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import matplotlib as mpl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import redcap
import requests
from pyarrow import csv

from benchmarks.served.study import RECORD_ID, WORKLOADS, Workload, make_answers, record_id
from redcap_dagster.api import RedcapClient, RetryPolicy
from redcap_dagster.extract import ExtractRequest, extract_study, read_study
from redcap_dagster.project import parse_project, plan_export_columns
from redcap_dagster.tables import plan_tables

TOKEN = "0123456789ABCDEF0123456789ABCDEF"  # noqa: S105 - nobody's
LIMIT = 1_000_000
UNKNOWN_LIMIT = 100_000
QUICK_SHARE = 0.05
PYCAP_RECORDS = 1_000
REQUESTERS = 4
_BLOCK_BYTES = 16 << 20
_SAMPLE_SECONDS = 0.02
_PAGE_MEBIBYTES = os.sysconf("SC_PAGE_SIZE") / 2**20

DEFAULT_WORKLOADS = ("small", "large", "wide", "sparse")
FLOOR = "floor"
FRAME_FLOOR = "floor to a frame"
REQUESTERS_FLOOR = "four bare requesters"
TYPED, RAW = "typed", "raw and typed"
FRAMES = "typed to frames"
PYCAP, PANDAS = "chunks of PyCap", "requests and pandas"

CONTESTANTS_OF = {
    "fast": (FLOOR, TYPED, RAW, PYCAP, PANDAS, FRAME_FLOOR, FRAMES),
    "slow": (REQUESTERS_FLOOR, RAW, PYCAP, PANDAS),
    "limit": (RAW,),
}
FLOOR_OF = {FRAMES: FRAME_FLOOR, FRAME_FLOOR: FRAME_FLOOR}


@dataclass(frozen=True)
class Place:
    """Where a contestant works.

    Attributes:
        port: The server's.
        workload: What it serves.
        folder: For what is written.
    """

    port: int
    workload: Workload
    folder: Path

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self.port}/api/"


def run_floor(place: Place) -> None:
    """The least that could be done: one answer, known types, one stream, one file."""
    with (
        open_stream(place) as stream,
        pq.ParquetWriter(place.folder / "all.parquet", stream.schema, compression="zstd") as writer,
    ):
        for batch in stream:
            writer.write_batch(batch)


def run_frame_floor(place: Place) -> None:
    """The same to a pandas frame."""
    with open_stream(place) as stream:
        stream.read_all().to_pandas()


@contextmanager
def open_stream(place: Place) -> Iterator[csv.CSVStreamingReader]:
    """The whole flat export as a stream of typed batches, from a bare socket."""
    project = parse_project(make_answers(place.workload))
    types = {
        column.name: column.arrow_type
        for spec in plan_tables(project)
        for column in spec.columns
        if column.source
    }
    keys = [column.name for column in plan_export_columns(project) if column.instrument is None]
    types |= dict.fromkeys([RECORD_ID, *keys], pa.string())
    body = urlencode({"token": TOKEN, "content": "record", "format": "csv"}).encode()
    head = f"POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", place.port)) as connection:
        connection.sendall(head + body)
        with connection.makefile("rb", buffering=_BLOCK_BYTES) as file:
            length = 0
            while (line := file.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            yield csv.open_csv(
                Bounded(file, length),
                read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
                convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=True),
            )


class Bounded(io.RawIOBase):
    """So many bytes of a file, as a file."""

    def __init__(self, file: io.BufferedIOBase, length: int) -> None:
        self._file = file
        self._left = length

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read on; b"" at the end."""
        size = self._left if size < 0 else min(size, self._left)
        data = self._file.read(size)
        self._left -= len(data)
        return data


def run_extract(place: Place, *, with_records: bool) -> None:
    """What `redcap-dagster export` does."""
    with open_client(place) as client:
        extract_study(client, place.folder, ExtractRequest(with_records=with_records))


def open_client(place: Place) -> RedcapClient:
    """A client; the budget of requests a minute protects real servers, this one has no limit."""
    return RedcapClient(place.url, TOKEN, requests_per_minute=100_000, retries=RetryPolicy(4))


def run_frames(place: Place) -> None:
    """`read_study`, then every typed table as a frame."""
    with open_client(place) as client:
        study = read_study(client, ExtractRequest(with_records=False))
    project = parse_project(make_answers(place.workload))
    frames = [study.frame(spec.name) for spec in plan_tables(project)]
    if not frames:
        raise SystemExit("no frames")


def run_pycap(place: Place) -> None:
    """PyCap's `chunked_export`, word by word, then a frame and a Parquet file."""
    project = redcap.Project(place.url, TOKEN)
    record_list = project.export_records(fields=[project.def_field])
    records = list(dict.fromkeys(item[project.def_field] for item in record_list))
    response: list[dict[str, Any]] = []
    for start in range(0, len(records), PYCAP_RECORDS):
        response.extend(project.export_records(records=records[start : start + PYCAP_RECORDS]))
    pd.DataFrame(response).to_parquet(place.folder / "all.parquet")


def run_pandas(place: Place) -> None:
    """One request and `pandas.read_csv`."""
    answer = requests.post(
        place.url, {"token": TOKEN, "content": "record", "format": "csv"}, timeout=600
    )
    frame = pd.read_csv(io.StringIO(answer.text))
    if len(frame) < place.workload.records:
        raise SystemExit("the answer is no export")
    frame.to_parquet(place.folder / "all.parquet")


def run_requesters(place: Place) -> None:
    """Four threads that know the ids and the limit, and only read."""
    project = parse_project(make_answers(place.workload))
    columns = len(plan_export_columns(project)) - 1  # no data access groups
    rows = 1.4 * place.workload.events * 1.05 if place.workload.events else 1.0
    cells = place.workload.records * rows * columns
    count = -(-int(cells) // (LIMIT * REQUESTERS)) * REQUESTERS
    ids = [record_id(number) for number in range(place.workload.records)]
    size = -(-len(ids) // count)
    batches = [ids[start : start + size] for start in range(0, len(ids), size)]
    local = threading.local()

    def ask(batch: Sequence[str]) -> None:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", place.port)
        form = {"token": TOKEN, "content": "record", "format": "csv"}
        form |= {f"records[{number}]": item for number, item in enumerate(batch)}
        local.connection.request("POST", "/api/", urlencode(form))
        body = local.connection.getresponse().read()
        if not body.startswith(RECORD_ID.encode()):
            raise SystemExit("the requesters asked for too much")

    with ThreadPoolExecutor(REQUESTERS) as pool:
        list(pool.map(ask, batches))


RUNS: Mapping[str, Callable[[Place], None]] = {
    FLOOR: run_floor,
    FRAME_FLOOR: run_frame_floor,
    TYPED: lambda place: run_extract(place, with_records=False),
    RAW: lambda place: run_extract(place, with_records=True),
    FRAMES: run_frames,
    PYCAP: run_pycap,
    PANDAS: run_pandas,
    REQUESTERS_FLOOR: run_requesters,
}


def measure(name: str, port: int, workload: Workload) -> dict[str, float]:
    """Run one contestant in this process: seconds by the clock, of CPU, and its own peak."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(port, workload, Path(folder))
        started, cpu = time.perf_counter(), cpu_seconds()
        RUNS[name](place)
        wall, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": wall, "cpu": cpu, "peak": peak}


def cpu_seconds() -> float:
    """CPU of this process and of its children that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run_apart(name: str, port: int, workload: str, share: float) -> dict[str, float] | None:
    """Run one contestant in a process of its own; None when it failed."""
    command = [sys.executable, "-m", "benchmarks.export", "--measure"]
    process = subprocess.Popen(  # noqa: S603 - this file
        [*command, name, str(port), workload, str(share)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak = TreePeak(process.pid)
    out, error = process.communicate()
    tree = peak.stop()
    if process.returncode:
        say(f"<!-- {name} failed: {error.strip().splitlines()[-1][:200]} -->")
        return None
    result: dict[str, float] = json.loads(out)
    result["peak"] = max(result["peak"], tree)
    return result


class TreePeak:
    """Watches the memory of a process and its descendants; their peak together, in MiB."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._peak = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> float:
        """Stop watching."""
        self._stopped.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            self._peak = max(self._peak, sum(map(resident_mebibytes, descendants(self._root))))


def descendants(root: int) -> Iterator[int]:
    """A process and all below it."""
    yield root
    try:
        children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    except OSError:  # it ended meanwhile
        return
    for child in children:
        yield from descendants(int(child))


def resident_mebibytes(process: int) -> float:
    """Memory of one process; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_MEBIBYTES
    except OSError:
        return 0.0


@contextmanager
def serve(workload: str, share: float, mode: str) -> Iterator[int]:
    """A server of the workload in a process of its own; its port."""
    options = [] if mode == "fast" else ["--slow"]
    limit = UNKNOWN_LIMIT if mode == "limit" else LIMIT
    command = [sys.executable, "-m", "benchmarks.served.server", workload, str(share), *options]
    process = subprocess.Popen(  # noqa: S603 - our own server
        [*command, "--limit", str(limit)], stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None:
            raise SystemExit("the server says nothing")
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def read_counts(port: int) -> dict[str, int]:
    """What the server was asked since the last look."""
    with urlopen(f"http://127.0.0.1:{port}/counts") as answer:
        counts: dict[str, int] = json.load(answer)
    return counts


Figures = dict[str, list[dict[str, float]]]


def compare(workload: str, mode: str, rounds: int, share: float) -> Figures:
    """Run every contestant of a mode in turn, several times, and print the medians."""
    figures: Figures = {name: [] for name in CONTESTANTS_OF[mode]}
    with serve(workload, share, mode) as port:
        read_counts(port)
        for _ in range(rounds):
            for name, taken in figures.items():
                result = run_apart(name, port, workload, share)
                counts = read_counts(port)
                if result is not None:
                    taken.append({**result, **counts})
    title = WORKLOADS[workload].scaled(share).title
    say(f"### {title}, {mode} server, medians of {rounds}\n")
    head = ["", "wall s", "x floor", "CPU s", "peak MB", "requests", "refused", "after the first"]
    head += ["largest, cells", "asked, cells", "MB sent", "at once"]
    say(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name, taken in figures.items():
        say(f"| {name} | {' | '.join(cells_of(name, taken, figures))} |")
    say("")
    return figures


def cells_of(name: str, taken: Sequence[dict[str, float]], figures: Figures) -> list[str]:
    """One contestant's line."""
    if not taken:
        return ["failed"] + [""] * 10
    floor = figures.get(FLOOR_OF.get(name, next(iter(figures)))) or []
    wall = middle(taken, "wall")
    ratio = f"{wall / middle(floor, 'wall'):.2f}" if floor else ""
    largest = max(item["largest"] for item in taken)
    return [
        f"{wall:.2f}",
        ratio,
        f"{middle(taken, 'cpu'):.2f}",
        f"{max(item['peak'] for item in taken):.0f}",
        f"{middle(taken, 'requests'):.0f}",
        f"{max(item['refused'] for item in taken):.0f}",
        f"{max(item['refused_knowingly'] for item in taken):.0f}",
        f"{largest:,.0f}",
        f"{middle(taken, 'cells'):,.0f}",
        f"{middle(taken, 'bytes') / 1e6:.1f}",
        f"{max(item['in_flight'] for item in taken):.0f}",
    ]


def middle(taken: Sequence[Mapping[str, float]], key: str) -> float:
    """The median of one figure."""
    return statistics.median(item[key] for item in taken)


def draw(folder: Path, mode: str, results: Mapping[str, Figures]) -> None:
    """Bars of seconds and memory by contestant, one group a workload, into `folder`."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what draws

    done = {name for taken in results.values() for name, runs in taken.items() if runs}
    names = [name for name in CONTESTANTS_OF[mode] if name in done]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4))
    for axis, key, label in zip(axes, ("wall", "peak"), ("seconds", "peak MB"), strict=True):
        for place, name in enumerate(names):
            heights = [
                middle(taken[name], key) if taken[name] else 0.0 for taken in results.values()
            ]
            left = [number + place * 0.8 / len(names) for number in range(len(results))]
            axis.bar(left, heights, width=0.8 / len(names), label=name)
        axis.set_xticks([number + 0.4 for number in range(len(results))], list(results))
        axis.set_ylabel(label)
    axes[0].legend(fontsize="small")
    figure.suptitle(f"Whole export, {mode} server")
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"export-{mode}.png", dpi=110)
    plt.close(figure)


def say(line: str) -> None:
    """Print a line of the result."""
    print(line, flush=True)  # noqa: T201 - what the benchmark is for


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the records, once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--workloads", nargs="+", choices=WORKLOADS, default=list(DEFAULT_WORKLOADS)
    )
    parser.add_argument("--modes", nargs="+", choices=CONTESTANTS_OF, default=list(CONTESTANTS_OF))
    parser.add_argument("--charts", type=Path, metavar="DIR", help="draw export-<mode>.png there")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, port, workload, share = options.measure
        scaled = WORKLOADS[workload].scaled(float(share))
        say(json.dumps(measure(name, int(port), scaled)))
        return
    share, rounds = (QUICK_SHARE, 1) if options.quick else (1.0, options.rounds)
    say(f"{os.cpu_count()} cores, pyarrow {pa.__version__}, pandas {pd.__version__}\n")
    for mode in options.modes:
        results = {name: compare(name, mode, rounds, share) for name in options.workloads}
        if options.charts is not None:
            draw(options.charts, mode, results)


if __name__ == "__main__":
    main()
