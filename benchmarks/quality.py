"""How fast the data-quality rules are: beside plain pandera, with bad cells, and a calculation.

`python -m benchmarks.quality` prints the tables of benchmarks/README.md. Each figure is of a
process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from redcap_dagster.logic import StudyFrame, evaluate_table, parse_logic
from redcap_dagster.project import ProjectAnswers, RedcapProject, parse_project
from redcap_dagster.quality import QualityJudge, build_schema, plan_quality
from redcap_dagster.tables import plan_tables, split_chunk, to_pandas

ROWS, COLUMNS, FIELDS_PER_FORM = 20_000, 1_000, 100
CALCULATED_ROWS = 1_000_000
BAD_SHARES = (0.0, 0.01, 0.1)
FORMULA = "round([weight] / ([height] / 100)^2, 1)"
KINDS: tuple[dict[str, str], ...] = (
    {
        "field_type": "text",
        "text_validation_type_or_show_slider_number": "integer",
        "text_validation_min": "10",
        "text_validation_max": "99",
    },
    {"field_type": "radio", "select_choices_or_calculations": "1, A | 2, B | 3, C | 4, D"},
    {"field_type": "text", "text_validation_type_or_show_slider_number": "email"},
)
GOOD = (
    np.array([str(number) for number in range(10, 100)]),
    np.array(["1", "2", "3", "4"]),
    np.array([f"person.{number}@example.org" for number in range(5_000)]),
)
WRONG = ("7", "9", "HelloWorld")


def main() -> None:
    """Run every case in a process of its own and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="?", help="used by the program itself")
    parser.add_argument("share", nargs="?", type=float, default=0.0)
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps(CASES[options.case](options.share)))  # noqa: T201
        return
    rows = [(f"{share:.0%}", run("rules", share), run("pandera", share)) for share in BAD_SHARES]
    say(f"{ROWS:,} rows of {COLUMNS:,} columns", "")
    say("| bad cells | rules CPU s | pandera CPU s | times faster | rules MiB | findings |")
    say("|---|---|---|---|---|---|")
    for name, ours, theirs in rows:
        say(
            f"| {name} | {ours['cpu']:.2f} | {theirs['cpu']:.2f} | "
            f"{theirs['cpu'] / ours['cpu']:.1f} | {ours['memory']:.0f} | {ours['findings']:,.0f} |"
        )
    say("", f"{FORMULA} over {CALCULATED_ROWS:,} rows", "", "| | CPU s |", "|---|---|")
    for name in ("pandas", "numbers", "texts"):
        say(f"| {name} | {run(name, 0.0)['cpu']:.3f} |")


def say(*lines: str) -> None:
    """Print lines as they are made."""
    print(*lines, sep="\n", flush=True)  # noqa: T201


def run(case: str, share: float) -> dict[str, float]:
    """The figures of one case."""
    command = [sys.executable, "-m", "benchmarks.quality", case, str(share)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(work: Callable[[], float]) -> dict[str, float]:
    """CPU seconds and added memory of one call, and the number it gives."""
    before, started = peak(), time.process_time()
    found = work()
    cpu = time.process_time() - started
    return {"cpu": cpu, "memory": peak() - before, "findings": found}


def peak() -> float:
    """Most memory that this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def make_project() -> RedcapProject:
    """A classic study; every field has a range, a choice or a format, a third branching logic."""
    fields = [{"field_name": "record_id", "form_name": "form_0", "field_type": "text"}]
    for number in range(COLUMNS):
        field = {"field_name": f"f{number}", "form_name": f"form_{number // FIELDS_PER_FORM}"}
        if number % 3 == 1:
            field["branching_logic"] = f"[f{number - 1}] >= 0 or [f{number - 1}] = ''"
        fields.append(field | KINDS[number % 3])
    forms = list(dict.fromkeys(field["form_name"] for field in fields))
    return parse_project(
        ProjectAnswers(
            "14.7.3", {"project_id": 1}, fields, [{"instrument_name": form} for form in forms]
        )
    )


def make_rows(project: RedcapProject, bad: float) -> pa.Table:
    """A flat export; a share of its cells breaks its rule."""
    random = np.random.default_rng(1)
    columns = {"record_id": pa.array([str(number) for number in range(ROWS)])}
    for number in range(COLUMNS):
        good = GOOD[number % 3]
        text = good[random.integers(0, len(good), ROWS)].astype(object)
        text[random.random(ROWS) < bad] = WRONG[number % 3]
        columns[f"f{number}"] = pa.array(text, pa.string())
    for instrument in project.instruments:
        columns[f"{instrument.name}_complete"] = pa.array(["2"] * ROWS)
    return pa.table(columns)


def rules(bad: float) -> dict[str, float]:
    """All rules on the raw export: those of rows, and those of the finished tables."""
    project = make_project()
    rows = make_rows(project, bad)
    specs = {spec.name: spec for spec in plan_tables(project)}
    tables = split_chunk(rows, project, list(specs.values())).tables

    def judge() -> float:
        judge = QualityJudge(plan_quality(project))
        found = sum(piece.num_rows for piece in judge.judge_rows(rows, list(specs)))
        for name in specs:
            pieces = judge.judge_table(name, lambda table, names: tables[table].select(names))
            found += sum(piece.num_rows for piece in pieces)
        return found

    return measure(judge)


def plain_pandera(bad: float) -> dict[str, float]:
    """The study's schemas as one pandera schema, on the wide typed frame."""
    project = make_project()
    tables = split_chunk(make_rows(project, bad), project, plan_tables(project)).tables
    columns: dict[str, pandera.Column] = {}
    frames = []
    for instrument in project.instruments:
        new = [
            name for name in build_schema(project, instrument.name).columns if name not in columns
        ]
        frames.append(to_pandas(tables[instrument.name]).loc[:, new])
        columns |= {name: build_schema(project, instrument.name).columns[name] for name in new}
    frame = pd.concat(frames, axis="columns")
    schema = pandera.DataFrameSchema(columns)

    def validate() -> float:
        try:
            schema.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as error:
            return len(error.failure_cases)
        return 0

    return measure(validate)


def calculation(*, as_text: bool) -> dict[str, float]:
    """The formula over a million rows, by the logic room."""
    frame = measurements()
    if as_text:
        frame = frame.astype("string")
    expression = parse_logic(FORMULA)
    return measure(lambda: float(evaluate_table(expression, StudyFrame(frame)).number.sum()))


def by_hand() -> dict[str, float]:
    """The same formula written in pandas."""
    frame = measurements()
    return measure(lambda: float((frame["weight"] / (frame["height"] / 100) ** 2).round(1).sum()))


def measurements() -> pd.DataFrame:
    """Weights and heights, a tenth of them blank."""
    random = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "weight": random.uniform(40, 140, CALCULATED_ROWS).round(1),
            "height": random.uniform(140, 200, CALCULATED_ROWS).round(0),
        }
    )
    return frame.mask(random.random(frame.shape) < 0.1)  # noqa: PLR2004


CASES: dict[str, Callable[[float], dict[str, float]]] = {
    "rules": rules,
    "pandera": plain_pandera,
    "pandas": lambda _: by_hand(),
    "numbers": lambda _: calculation(as_text=False),
    "texts": lambda _: calculation(as_text=True),
}

if __name__ == "__main__":
    main()
