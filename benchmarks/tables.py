"""Bytes of an export to typed Parquet, beside the least that could be done with the same bytes.

    python -m benchmarks.tables [--rounds 3] [--workloads small large wide]
                                [--cells-per-answer 100000]

Each contestant reads the same csv from disk in a process of its own, one after the other, in
rounds, so that a busy machine is busy for all of them:

- floor: one `pyarrow.csv` stream, types known, every column to one typed Parquet file. No split,
  no text kept, no proof.
- typed: answers of as many cells as one request asks for, each judged, to the typed tables and
  `rejected_values`.
- raw and typed: the same, and `records` beside them.

Prints Markdown tables: medians of wall and CPU seconds, their ratio to the floor, and the largest
peak of memory.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from redcap_dagster.export import read_chunk
from redcap_dagster.export.plan import DEFAULT_CELLS_PER_REQUEST, Batch
from redcap_dagster.project import (
    Choice,
    DictionaryField,
    Instrument,
    ProjectInfo,
    RedcapProject,
    plan_export_columns,
)
from redcap_dagster.tables import ExtractWriter, gather_chunks, plan_records_table, plan_tables

CONTESTANTS = ("floor", "typed", "raw and typed")
FIELDS_PER_INSTRUMENT = 25
YES = (Choice("1", "Yes"), Choice("0", "No"), Choice("99", "Unknown"))


@dataclass(frozen=True)
class Workload:
    """A classic project of one width and length."""

    name: str
    records: int
    columns: int

    def records_per_answer(self, cells: int) -> int:
        """As `plan_export` would cut it."""
        return max(1, min(900, cells // self.columns))


WORKLOADS = {
    "small": Workload("20,000 x 200", 20_000, 200),
    "large": Workload("100,000 x 200", 100_000, 200),
    "wide": Workload("2,000 x 5,000", 2_000, 5_000),
}


def make_project(columns: int) -> RedcapProject:
    """A study of that many export columns, a quarter of them each text, number, date, choice."""
    instruments = []
    fields: list[DictionaryField] = []
    left = columns
    number = 0
    while left > 0:
        name = f"form_{number}"
        count = min(FIELDS_PER_INSTRUMENT, left) - 1  # one for the form's status
        fields = [
            make_field(name, number * FIELDS_PER_INSTRUMENT + place) for place in range(count)
        ]
        if number == 0 and fields:
            fields[0] = DictionaryField("record_id", name, "text")
        instruments.append(Instrument(name, name, tuple(fields)))
        left -= count + 1
        number += 1
    return RedcapProject(ProjectInfo(1, "Benchmark"), "14.0.0", tuple(instruments))


def make_field(form: str, number: int) -> DictionaryField:
    """One field; its kind follows from its number."""
    name = f"field_{number}"
    kinds = [
        DictionaryField(name, form, "text"),
        DictionaryField(name, form, "text", validation="integer"),
        DictionaryField(name, form, "text", validation="number"),
        DictionaryField(name, form, "radio", choices=YES),
        DictionaryField(name, form, "text", validation="date_ymd"),
        DictionaryField(name, form, "yesno"),
        DictionaryField(name, form, "text", validation="datetime_seconds_ymd"),
        DictionaryField(name, form, "dropdown", choices=YES),
    ]
    return kinds[number % len(kinds)]


def make_csv(path: Path, workload: Workload, project: RedcapProject, cells: int) -> None:
    """Write an export of the workload, and where its answers begin.

    Rows of a small stock, shuffled, each with its own id.
    """
    chance = random.Random(7)  # noqa: S311 - no secret
    columns = plan_export_columns(project)[2:]  # beside the id and the data access group
    fields = project.fields_by_name
    stock = [
        ",".join(make_cell(chance, fields.get(item.field or "")) for item in columns)
        for _ in range(500)
    ]
    names = [project.record_id_field, *(item.name for item in columns)]
    starts = []
    per_answer = workload.records_per_answer(cells)
    with path.open("wb") as file:
        file.write(",".join(names).encode() + b"\n")
        for number in range(workload.records):
            if number % per_answer == 0:
                starts.append(file.tell())
            file.write(f"{make_id(number)},{chance.choice(stock)}\n".encode())
        starts.append(file.tell())
    path.with_suffix(".json").write_text(json.dumps(starts))


def make_id(number: int) -> str:
    """The id of the record with a number."""
    return f"{number:06}"


def make_cell(chance: random.Random, field: DictionaryField | None) -> str:
    """A cell: a fifth is blank."""
    if field is None:
        return chance.choice(["0", "1", "2"])
    if chance.random() < 1 / 5:
        return ""
    number = chance.randrange(100_000)
    return {
        "text": f"answer {number}",
        "integer": str(number),
        "number": f"{number / 100:.2f}",
        "date_ymd": f"20{number % 30:02}-0{number % 9 + 1}-{number % 28 + 1:02}",
        "datetime_seconds_ymd": f"20{number % 30:02}-03-04 {number % 24:02}:{number % 60:02}:07",
    }.get(field.validation or field.field_type, str(number % 2))


def run_floor(source: Path, target: Path, project: RedcapProject) -> None:
    """The least that could be done: known types, one stream, one file."""
    specs = plan_tables(project)
    types = {item.name: item.arrow_type for spec in specs for item in spec.columns if item.source}
    types[project.record_id_field] = pa.string()
    # Booleans are 0 and 1, which pyarrow reads.
    options = csv.ConvertOptions(column_types=types, strings_can_be_null=True)
    # The block size at which it is fastest: by default it takes up to seven times as long.
    blocks = csv.ReadOptions(block_size=16 << 20)
    with (
        csv.open_csv(source, read_options=blocks, convert_options=options) as stream,
        pq.ParquetWriter(target / "all.parquet", stream.schema, compression="zstd") as writer,
    ):
        for batch in stream:
            writer.write_batch(batch)


def run_tables(source: Path, target: Path, project: RedcapProject, *, with_records: bool) -> None:
    """Answers as the server would cut them, to published tables."""
    specs = list(plan_tables(project))
    if with_records:
        specs.append(plan_records_table(project))
    columns = plan_export_columns(project)
    with ExtractWriter(target / "shelf", project, specs) as writer:
        answers = iter_answers(source, project)
        for piece in gather_chunks(read_chunk(*answer, columns).table for answer in answers):
            writer.write(piece)
        writer.publish()


def iter_answers(source: Path, project: RedcapProject) -> Iterator[tuple[bytes, Batch]]:
    """The csv in answers of the planned size, each with a header."""
    starts = json.loads(source.with_suffix(".json").read_text())
    instruments = tuple(project.instruments_by_name)
    done = 0
    with source.open("rb") as file:
        header = file.readline()
        for start, end in pairwise(starts):
            rows = file.read(end - start)
            count = rows.count(b"\n")
            ids = tuple(map(make_id, range(done, done + count)))
            done += count
            yield header + rows, Batch(ids, instruments)


def measure(contestant: str, source: Path, columns: int) -> dict[str, float]:
    """Run one contestant in this process and say what it took."""
    project = make_project(columns)
    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), time.process_time()
        if contestant == "floor":
            run_floor(source, Path(folder), project)
        else:
            with_records = contestant == "raw and typed"
            run_tables(source, Path(folder), project, with_records=with_records)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": wall, "cpu": cpu, "peak": peak}


def run_apart(contestant: str, source: Path, columns: int) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.tables", "--measure"]
    done = subprocess.run(  # noqa: S603 - this file
        [*command, contestant, str(source), str(columns)],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def compare(workload: Workload, rounds: int, cells: int) -> None:
    """Run every contestant in turn, several times, and print the medians."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "export.csv"
        make_csv(source, workload, make_project(workload.columns), cells)
        size = source.stat().st_size / 1e6
        for _ in range(rounds):
            for name in CONTESTANTS:
                results[name].append(run_apart(name, source, workload.columns))
    say(f"### {workload.name}, {size:,.0f} MB of csv, medians of {rounds}\n")
    say("| | wall s | x floor | CPU s | x floor | peak MB |\n|---|---|---|---|---|---|")
    floor = {key: middle(results["floor"], key) for key in ("wall", "cpu")}
    for name in CONTESTANTS:
        wall, cpu = middle(results[name], "wall"), middle(results[name], "cpu")
        peak = max(item["peak"] for item in results[name])
        say(
            f"| {name} | {wall:.2f} | {wall / floor['wall']:.2f} "
            f"| {cpu:.2f} | {cpu / floor['cpu']:.2f} | {peak:.0f} |"
        )
    say("")


def say(line: str) -> None:
    """Print a line of the result."""
    print(line, flush=True)  # noqa: T201 - what the benchmark is for


def middle(results: list[dict[str, float]], key: str) -> float:
    """The median of one figure."""
    return statistics.median(item[key] for item in results)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--cells-per-answer", type=int, default=DEFAULT_CELLS_PER_REQUEST)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        contestant, source, columns = arguments.measure
        say(json.dumps(measure(contestant, Path(source), int(columns))))
        return
    say(f"{os.cpu_count()} cores, pyarrow {pa.__version__}\n")
    for name in arguments.workloads:
        compare(WORKLOADS[name], arguments.rounds, arguments.cells_per_answer)


if __name__ == "__main__":
    main()
