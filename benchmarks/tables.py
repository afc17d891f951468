"""Bytes of an export to typed Parquet, beside the least that could be done with the same bytes.

    python -m benchmarks.tables [--rounds 3] [--workloads small large wide sparse]

Each contestant reads the same cells from disk in a process of its own, one after the other, in
rounds, so that a busy machine is busy for all of them:

- floor: one `pyarrow.csv` stream of the whole csv, types known, every column to one typed Parquet
  file. No split, no text kept, no proof.
- typed: the answers of which an engine would make the same export, each judged, to the typed
  tables and `rejected_values`.
- raw and typed: the same, and `records` beside them.

An answer has at most 400,000 cells and 5,000 records. The wide project comes in groups of 1,000
columns of 400 records, which are put side by side again.

Prints Markdown tables: medians of wall and CPU seconds, their ratio to the floor, and the largest
peak of memory.
"""

import argparse
import io
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from redcap_dagster.export import read_chunk
from redcap_dagster.export.plan import Batch
from redcap_dagster.project import (
    Arm,
    Choice,
    DictionaryField,
    Event,
    ExportColumn,
    FormEvent,
    Instrument,
    ProjectInfo,
    RedcapProject,
    RepeatRule,
    plan_export_columns,
)
from redcap_dagster.tables import ExtractWriter, gather_chunks, plan_records_table, plan_tables

ROW_KEY_KINDS = frozenset({"record_id", "event", "repeat_instrument", "repeat_instance"})
CONTESTANTS = ("floor", "typed", "raw and typed")
FIELDS_PER_INSTRUMENT = 25
YES = (Choice("1", "Yes"), Choice("0", "No"), Choice("99", "Unknown"))


CELLS_PER_ANSWER = 400_000
RECORDS_PER_ANSWER = 5_000
COLUMNS_PER_ANSWER = 1_000
EVENTS = tuple(Event(f"visit_{number}_arm_1", f"Visit {number}", 1) for number in range(6))


@dataclass(frozen=True)
class Workload:
    """A project of one width and length; a longitudinal one repeats its last two forms."""

    name: str
    records: int
    columns: int
    is_longitudinal: bool = False


@dataclass(frozen=True)
class Answer:
    """Where one answer lies in the file of answers, and what was asked."""

    start: int
    length: int
    first_record: int
    records: int
    instruments: tuple[str, ...]


WORKLOADS = {
    "small": Workload("20,000 x 150", 20_000, 150),
    "medium": Workload("20,000 x 200", 20_000, 200),
    "large": Workload("100,000 x 200", 100_000, 200),
    "wide": Workload("2,000 x 5,000", 2_000, 5_000),
    "sparse": Workload("10,000 records x 6 events, two repeating forms", 10_000, 150, True),
}


def make_project(workload: Workload) -> RedcapProject:
    """A study of that many export columns, a quarter of them each text, number, date, choice."""
    instruments = []
    for number in range(-(-workload.columns // FIELDS_PER_INSTRUMENT)):
        name = f"form_{number}"
        first = number * FIELDS_PER_INSTRUMENT
        # One column is the form's status.
        count = min(FIELDS_PER_INSTRUMENT, workload.columns - first) - 1
        fields = [make_field(name, first + place) for place in range(count)]
        if number == 0:
            fields[0] = DictionaryField("record_id", name, "text")
        instruments.append(Instrument(name, name, tuple(fields)))
    classic = RedcapProject(ProjectInfo(1, "Benchmark"), "14.0.0", tuple(instruments))
    return make_longitudinal(classic) if workload.is_longitudinal else classic


def make_longitudinal(classic: RedcapProject) -> RedcapProject:
    """Six events: ordinary forms in every other one, the last two forms repeat in each."""
    names = [instrument.name for instrument in classic.instruments]
    form_events = [
        FormEvent(event.unique_name, name)
        for number, event in enumerate(EVENTS)
        for place, name in enumerate(names)
        if name in names[-2:] or place == 0 or (place + number) % 2
    ]
    return replace(
        classic,
        info=replace(classic.info, is_longitudinal=True, has_repeating=True),
        arms=(Arm(1, "Arm 1"),),
        events=EVENTS,
        form_events=tuple(form_events),
        repeats=tuple(
            RepeatRule(event.unique_name, name) for event in EVENTS for name in names[-2:]
        ),
    )


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


class Export:
    """Makes the rows of a workload up: of a small stock, shuffled, each with its own id."""

    def __init__(self, project: RedcapProject) -> None:
        self._project = project
        self._chance = random.Random(7)  # noqa: S311 - no secret
        # Without the data access group, which a project need not have.
        self.columns = [
            item for item in plan_export_columns(project) if item.kind != "data_access_group"
        ]
        places = [*((event.unique_name, "") for event in project.events)] or [("", "")]
        places += [
            (rule.event or "", rule.instrument or "")
            for number, rule in enumerate(project.repeats)
            if number % 3 == 0
        ]
        self._stock = [[self._make_row(*place) for place in places] for _ in range(500)]

    def make_record(self, number: int) -> list[list[str]]:
        """The rows of one record."""
        rows = self._chance.choice(self._stock)
        return [[make_id(number), *row] for row in rows]

    def _make_row(self, event: str, repeating: str) -> list[str]:
        structural = {
            "event": event,
            "repeat_instrument": repeating,
            "repeat_instance": "1" if repeating else "",
        }
        used = {item.instrument for item in self._project.form_events if item.event == event}
        used -= {rule.instrument or "" for rule in self._project.repeats}
        asked = {repeating} if repeating else used or set(self._project.instruments_by_name)
        return [
            structural[item.kind]
            if item.kind in structural
            else self._make_cell(item)
            if item.instrument in asked
            else ""
            for item in self.columns[1:]
        ]

    def _make_cell(self, column: ExportColumn) -> str:
        return make_cell(self._chance, self._project.fields_by_name.get(column.field or ""))


def make_csv(path: Path, workload: Workload) -> None:
    """Write an export of the workload as one csv, and beside it as the answers of an engine."""
    project = make_project(workload)
    export = Export(project)
    groups = group_columns(project, export.columns)
    rows_each = len(export.make_record(0))
    widest = max(len(columns) for _, columns in groups)
    per_answer = min(RECORDS_PER_ANSWER, CELLS_PER_ANSWER // (rows_each * widest))
    answers: list[list[Answer]] = []
    with path.open("w") as whole, path.with_suffix(".answers").open("wb") as parts:
        write_rows(whole, [[item.name for item in export.columns]])
        for first in range(0, workload.records, per_answer):
            count = min(per_answer, workload.records - first)
            records = [export.make_record(number) for number in range(first, first + count)]
            rows = [row for record in records for row in record]
            write_rows(whole, rows)
            block = []
            for instruments, columns in groups:
                body = io.StringIO()
                names = [export.columns[place].name for place in columns]
                write_rows(body, [names, *([row[place] for place in columns] for row in rows)])
                content = body.getvalue().encode()
                block.append(Answer(parts.tell(), len(content), first, count, instruments))
                parts.write(content)
            answers.append(block)
    blocks = [[asdict(answer) for answer in block] for block in answers]
    path.with_suffix(".json").write_text(json.dumps(blocks))


def group_columns(
    project: RedcapProject, columns: Sequence[ExportColumn]
) -> list[tuple[tuple[str, ...], list[int]]]:
    """Forms that are asked for together, and the places of their columns in a row."""
    per_group = COLUMNS_PER_ANSWER // FIELDS_PER_INSTRUMENT
    names = list(project.instruments_by_name)
    groups = [tuple(names[at : at + per_group]) for at in range(0, len(names), per_group)]
    return [
        (
            group,
            [
                place
                for place, item in enumerate(columns)
                if item.instrument in group or item.kind in ROW_KEY_KINDS
            ],
        )
        for group in groups
    ]


def write_rows(file: TextIO, rows: Iterable[Sequence[str]]) -> None:
    """Write lines of csv; no cell needs quotes."""
    file.writelines(",".join(row) + "\n" for row in rows)


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
    """Answers as the server would send them, to published tables."""
    specs = list(plan_tables(project))
    if with_records:
        specs.append(plan_records_table(project))
    with ExtractWriter(target / "shelf", project, specs) as writer:
        for piece in gather_chunks(iter_blocks(source, project)):
            writer.write(piece)
        writer.publish()


def iter_blocks(source: Path, project: RedcapProject) -> Iterator[pa.Table]:
    """Judged rows with all columns, which were asked for in one answer or in several."""
    blocks = json.loads(source.with_suffix(".json").read_text())
    with source.with_suffix(".answers").open("rb") as file:
        for block in blocks:
            columns: dict[str, pa.ChunkedArray] = {}
            for answer in block:
                instruments = tuple(answer["instruments"])
                first = answer["first_record"]
                ids = tuple(map(make_id, range(first, first + answer["records"])))
                body = file.read(answer["length"])
                planned = plan_export_columns(project, instruments)
                table = read_chunk(body, Batch(ids, instruments), planned).table
                columns.update(zip(table.column_names, table.columns, strict=True))
            yield pa.table(columns)


def measure(contestant: str, source: Path, workload: Workload) -> dict[str, float]:
    """Run one contestant in this process and say what it took."""
    project = make_project(workload)
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


def run_apart(contestant: str, source: Path, workload: str) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.tables", "--measure"]
    done = subprocess.run(  # noqa: S603 - this file
        [*command, contestant, str(source), workload],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def compare(name: str, rounds: int) -> None:
    """Run every contestant in turn, several times, and print the medians."""
    workload = WORKLOADS[name]
    results: dict[str, list[dict[str, float]]] = {item: [] for item in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "export.csv"
        make_csv(source, workload)
        size = source.stat().st_size / 1e6
        for _ in range(rounds):
            for item in CONTESTANTS:
                results[item].append(run_apart(item, source, name))
    say(f"### {workload.name}, {size:,.0f} MB of csv, medians of {rounds}\n")
    say("| | wall s | x floor | CPU s | x floor | peak MB |\n|---|---|---|---|---|---|")
    floor = {key: middle(results["floor"], key) for key in ("wall", "cpu")}
    for item in CONTESTANTS:
        wall, cpu = middle(results[item], "wall"), middle(results[item], "cpu")
        peak = max(result["peak"] for result in results[item])
        say(
            f"| {item} | {wall:.2f} | {wall / floor['wall']:.2f} "
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
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        contestant, source, name = arguments.measure
        say(json.dumps(measure(contestant, Path(source), WORKLOADS[name])))
        return
    say(f"{os.cpu_count()} cores, pyarrow {pa.__version__}\n")
    for name in arguments.workloads:
        compare(name, arguments.rounds)


if __name__ == "__main__":
    main()
