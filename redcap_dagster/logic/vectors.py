"""Worked examples of logic from a file: an expression, stored values, the expected result.

`python -m redcap_dagster.logic FILE` runs them through both evaluators. The format is described
in docs/logic.md.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from redcap_dagster.errors import ConfigError, LogicError
from redcap_dagster.logic.evaluate import evaluate_row
from redcap_dagster.logic.options import LogicOptions
from redcap_dagster.logic.parser import parse_logic
from redcap_dagster.logic.study_frame import StudyFrame
from redcap_dagster.logic.vector_project import build_vector_project
from redcap_dagster.logic.vectorised import evaluate_table
from redcap_dagster.project import RedcapProject, plan_export_columns

Expected = bool | float | str
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Vector:
    """One worked example.

    Attributes:
        vector_id: Its name in the file.
        kind: What the result is read as: `logic` a condition, `calc` a number, `calctext` a text.
        expr: The expression.
        rows: Flat export rows of one record.
        current: Place of the row that the expression is evaluated on.
        project: The study's design.
        expected: Expected result; "" where a number is blank.
        tolerance: Difference up to which numbers are equal.
        as_of: What `today` means, or None.
        missing_codes: The project's missing data codes.
    """

    vector_id: str
    kind: Literal["logic", "calc", "calctext"]
    expr: str
    rows: tuple[Mapping[str, str], ...]
    current: int
    project: RedcapProject
    expected: Expected
    tolerance: float = _TOLERANCE
    as_of: datetime | None = None
    missing_codes: frozenset[str] = frozenset()


def read_vectors(path: Path) -> tuple[Vector, ...]:
    """Read a file of worked examples.

    Raises:
        ConfigError: The file cannot be read, or is not of this format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("vectors"), list):
        raise ConfigError(f'{path} has no list "vectors".')
    return tuple(_read_vector(item, place) for place, item in enumerate(content["vectors"], 1))


def run_vector(vector: Vector) -> Iterator[str]:
    """Run one example through both evaluators.

    Yields:
        A sentence for each evaluator whose result differs, or that refuses the expression.
    """
    for name, evaluate in (("row", _evaluate_row), ("table", _evaluate_table)):
        try:
            results = evaluate(vector)
        except LogicError as error:
            yield f"{name}: {type(error).__name__}: {error}"
            continue
        for result in dict.fromkeys(results):
            if not _is_expected(result, vector):
                yield f"{name}: {result!r} instead of {vector.expected!r}"


def _read_vector(item: Any, place: int) -> Vector:
    try:
        context = item.get("context", {})
        rows = item.get("table") or [item.get("row", {})]
        return Vector(
            vector_id=str(item.get("id", place)),
            kind=item["kind"],
            expr=item["expr"],
            rows=tuple({name: _cell(value) for name, value in row.items()} for row in rows),
            current=int(item.get("current", 0)),
            project=build_vector_project(item),
            expected=item["expected"],
            tolerance=float(item.get("tol", _TOLERANCE)),
            as_of=_as_of(context),
            missing_codes=frozenset(context.get("missing_codes", ())),
        )
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"Vector {place} is not of the format: {type(error).__name__} {error}."
        ) from error


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _as_of(context: Mapping[str, str]) -> datetime | None:
    # A day alone is its midnight, so that an example may also ask for now.
    moment = context.get("now", context.get("today"))
    return None if moment is None else datetime.fromisoformat(moment)


def _evaluate_row(vector: Vector) -> list[Expected]:
    value = evaluate_row(
        parse_logic(vector.expr),
        vector.rows[vector.current],
        record_rows=vector.rows,
        project=vector.project,
        as_of=vector.as_of,
        options=LogicOptions(missing_codes=vector.missing_codes),
    )
    return [_reading(vector, value.is_true, value.number, value.text)]


def _evaluate_table(vector: Vector) -> list[Expected]:
    """Evaluate among other records: a blank one before and after, and the same one again."""
    places, rows = _crowd(vector)
    values = evaluate_table(
        parse_logic(vector.expr),
        StudyFrame(_frame(rows, vector), vector.project),
        as_of=vector.as_of,
        options=LogicOptions(missing_codes=vector.missing_codes),
    )
    readings = zip(values.is_true, values.number, values.text, strict=True)
    results = [
        _reading(vector, truth, _number_or_none(number), text) for truth, number, text in readings
    ]
    return [results[place] for place in places]


def _number_or_none(number: Any) -> float | None:
    return None if number is pd.NA else float(number)


def _crowd(vector: Vector) -> tuple[list[int], list[Mapping[str, str]]]:
    record_id = vector.project.record_id_field
    system = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
    rows: list[Mapping[str, str]] = []
    for name in ("blank before", "record", "blank after", "record again"):
        for row in vector.rows:
            kept = row if name.startswith("record") else {key: row.get(key, "") for key in system}
            # A single row keeps its own record id, which the expression may ask for.
            own = row.get(record_id, "") if name == "record" else name
            rows.append({**kept, record_id: own})
    size = len(vector.rows)
    places = [size + vector.current]
    if record_id not in vector.expr and "record-name" not in vector.expr:
        places.append(3 * size + vector.current)
    return places, rows


def _frame(rows: Sequence[Mapping[str, str]], vector: Vector) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), dtype="str").fillna("")
    planned = (column.name for column in plan_export_columns(vector.project))
    absent = [name for name in planned if name not in frame.columns]
    blanks = pd.DataFrame("", index=frame.index, columns=absent, dtype="str")
    return pd.concat([frame, blanks], axis=1)


def _reading(vector: Vector, truth: bool, number: float | None, text: str) -> Expected:
    if vector.kind == "logic":
        return bool(truth)
    if vector.kind == "calc":
        return "" if number is None else number
    return text


def _is_expected(result: Expected, vector: Vector) -> bool:
    expected = vector.expected
    if vector.kind != "calc":
        return result == expected
    if isinstance(result, str) or isinstance(expected, str):
        return result == expected
    difference = abs(result - expected)
    return difference <= vector.tolerance * max(1.0, abs(expected))
