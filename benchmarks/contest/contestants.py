"""The contestants: each brings a whole study from a served project into a file, or into frames."""

import http.client
import io
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import redcap
import requests
from pyarrow import csv

from benchmarks.served.study import RECORD_ID, Workload, make_answers, record_id
from redcap_dagster.api import RedcapClient, RetryPolicy
from redcap_dagster.extract import ExtractRequest, extract_study, read_study
from redcap_dagster.project import parse_project, plan_export_columns
from redcap_dagster.tables import plan_tables

TOKEN = "0123456789ABCDEF0123456789ABCDEF"  # noqa: S105 - nobody's
LIMIT = 1_000_000
PYCAP_RECORDS = 1_000
REQUESTERS = 4
_BLOCK_BYTES = 16 << 20

FLOOR = "floor"
FRAME_FLOOR = "floor to a frame"
REQUESTERS_FLOOR = "four bare requesters"
TYPED, RAW = "typed", "raw and typed"
FRAMES = "typed to frames"
FLOORS = (FLOOR, FRAME_FLOOR, REQUESTERS_FLOOR)
PYCAP, PANDAS = "chunks of PyCap", "requests and pandas"


@dataclass(frozen=True)
class Place:
    """Where a contestant works, and what the floors know before their clock starts.

    Attributes:
        port: The server's.
        workload: What it serves.
        folder: For what is written.
        types: Type of each column of the flat export, for a floor; none for others.
    """

    port: int
    workload: Workload
    folder: Path
    types: Mapping[str, pa.DataType]

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self.port}/api/"


def column_types(workload: Workload) -> dict[str, pa.DataType]:
    """Type of each column of the flat export, in its order."""
    project = parse_project(make_answers(workload))
    types = {
        column.name: column.arrow_type
        for spec in plan_tables(project)
        for column in spec.columns
        if column.source
    }
    names = [column.name for column in plan_export_columns(project)]
    return {name: types.get(name, pa.string()) for name in names} | {RECORD_ID: pa.string()}


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
                convert_options=csv.ConvertOptions(
                    column_types=place.types, strings_can_be_null=True
                ),
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
    frames = {name: study.frame(name) for name in study.tables}
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
    columns = len(place.types) - 1  # no data access groups
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
