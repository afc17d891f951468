"""The vectorised evaluator gives, on every row, what the row evaluator gives."""

from dataclasses import replace
from datetime import datetime
from random import Random

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_dagster.logic import LogicOptions, StudyFrame, evaluate_row, evaluate_table, parse_logic
from redcap_dagster.logic.functions import FUNCTIONS, Function, Parameter
from redcap_dagster.project import RedcapProject
from tests.logic.generated_logic import expressions, options
from tests.logic.generated_studies import CLASSIC, DATES, LONGITUDINAL, NUMBERS, TEXTS, study

UNUSUAL = LogicOptions(
    numeric_text_equality=False,
    blank_orders_as_zero=True,
    mixed_date_order=True,
    negative_ties="up",
    directed_rounding="magnitude",
    mod_sign="divisor",
    sum_of_blanks="zero",
    stdev="population",
    find_is_case_sensitive=True,
)
AS_OF = datetime(2024, 3, 1, 14, 30, 5)  # noqa: DTZ001 - REDCap's dates have no time zone


def assert_evaluators_agree(
    project: RedcapProject | None, expr: str, rows: list[dict[str, str]], chosen: LogicOptions
) -> None:
    expression = parse_logic(expr)
    records: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if "record_id" in row:
            records.setdefault(row["record_id"], []).append(row)
    by_row = [
        evaluate_row(
            expression,
            row,
            record_rows=records.get(row.get("record_id", ""), ()),
            project=project,
            instrument="base",
            as_of=AS_OF,
            options=chosen,
        )
        for row in rows
    ]
    frame = pd.DataFrame(rows)
    for table in (frame, pa.Table.from_pandas(frame)):
        found = evaluate_table(
            expression,
            StudyFrame(table, project),
            instrument="base",
            as_of=AS_OF,
            options=chosen,
        )
        assert found.is_true.tolist() == [value.is_true for value in by_row]
        assert found.text.tolist() == [value.text for value in by_row]
        numbers = [None if pd.isna(number) else number for number in found.number]
        assert numbers == [
            None if value.number is None else pytest.approx(value.number, rel=1e-9)
            for value in by_row
        ]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(expr=expressions(LONGITUDINAL), seed=st.integers(0, 10**6), chosen=options())
def test_evaluators_agree_in_a_longitudinal_study(
    expr: str, seed: int, chosen: LogicOptions
) -> None:
    """Events, arms, repeating instruments and events, in any combination."""
    assert_evaluators_agree(LONGITUDINAL, expr, study(LONGITUDINAL, seed), chosen)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(expr=expressions(CLASSIC), seed=st.integers(0, 10**6), chosen=options())
def test_evaluators_agree_in_a_classic_study(expr: str, seed: int, chosen: LogicOptions) -> None:
    """One form repeats, there are no events."""
    assert_evaluators_agree(CLASSIC, expr, study(CLASSIC, seed), chosen)


def call_of(function: Function) -> str:
    fields = {Parameter.UNIT: "'h'", Parameter.SWITCH: "true"}
    names = ["[x]", "[y]", "[z]"]
    count = 3 if function.repeats_last else len(function.parameters)
    if function.name in {"datediff", "age_at_date"}:
        count -= 1
    made = [fields.get(function.parameter(place)) or names[place] for place in range(count)]
    return f"{function.name}({', '.join(made)})"


@pytest.mark.parametrize("chosen", [LogicOptions(), UNUSUAL], ids=["default", "unusual"])
@pytest.mark.parametrize("name", [*FUNCTIONS, "+", "-", "*", "/", "^", "=", "<", ">="])
def test_evaluators_agree_on_each_function_over_every_pair_of_values(
    name: str, chosen: LogicOptions
) -> None:
    """Two arguments take every pair of values; the third takes them by chance."""
    expr = call_of(FUNCTIONS[name]) if name in FUNCTIONS else f"[x] {name} [y]"
    chance = Random(name)  # noqa: S311 - made-up cells, not secrets
    values = ["", *NUMBERS[1:], *DATES[::2], *TEXTS[::2], "-0.5", "-1.25", "-7", "3"]
    rows = [{"x": x, "y": y, "z": chance.choice(values)} for x in values for y in values]
    chosen = replace(chosen, missing_codes=frozenset({"UNK", "-9"}))
    assert_evaluators_agree(None, expr, rows, chosen)
