"""Counting the rows that break a schema's rules."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from redcap_dagster.errors import ConfigError
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import RuleFailure, build_schema, merge_failures, validate_table

PLANTED: list[tuple[str, Any, RuleFailure]] = [
    ("sex", "3", RuleFailure("sex", "choices", 1)),
    ("sex", "unk", RuleFailure("sex", "choices", 1)),
    ("site", "a", RuleFailure("site", "choices", 1)),
    ("email", "HelloWorld", RuleFailure("email", "format:email", 1)),
    ("age", 17, RuleFailure("age", "range", 1)),
    ("age", 100, RuleFailure("age", "range", 1)),
    ("weight", 29.9, RuleFailure("weight", "range", 1)),
    ("height", 2.41, RuleFailure("height", "range", 1)),
    ("pain", 101, RuleFailure("pain", "range", 1)),
    ("born", pd.Timestamp(1899, 12, 31), RuleFailure("born", "range", 1)),
    ("born", pd.Timestamp(2021, 1, 1), RuleFailure("born", "range", 1)),
    ("seen", pd.Timestamp(2024, 1, 1, 7, 59), RuleFailure("seen", "range", 1)),
    ("left", pd.Timestamp(2025, 1, 1), RuleFailure("left", "range", 1)),
    ("wake", pd.Timedelta(hours=4, minutes=29), RuleFailure("wake", "range", 1)),
    ("sleep", pd.Timedelta(hours=17), RuleFailure("sleep", "range", 1)),
    ("breath", pd.Timedelta(minutes=2, seconds=1), RuleFailure("breath", "range", 1)),
    ("visit_complete", 3, RuleFailure("visit_complete", "choices", 1)),
    ("record_id", None, RuleFailure("record_id", "not_null", 1)),
    ("record_id", "2", RuleFailure(None, "unique_key", 2)),
]


@pytest.fixture
def schema(project: RedcapProject) -> pa.DataFrameSchema:
    return build_schema(project, "visit")


def test_a_valid_table_has_no_failures(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> None:
    assert validate_table(schema, frame) == ()


def test_an_empty_table_is_valid(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> None:
    assert validate_table(schema, frame.iloc[:0]) == ()


@pytest.mark.parametrize(("column", "value", "failure"), PLANTED)
def test_a_planted_mistake_is_counted(
    schema: pa.DataFrameSchema, frame: pd.DataFrame, column: str, value: Any, failure: RuleFailure
) -> None:
    frame.loc[0, column] = value
    assert validate_table(schema, frame) == (failure,)


def test_counts_are_those_that_pandera_finds(
    schema: pa.DataFrameSchema, frame: pd.DataFrame
) -> None:
    many = pd.concat([frame.iloc[:2]] * 500, ignore_index=True)
    many["record_id"] = pd.array([str(row) for row in range(len(many))], dtype="string")
    random = np.random.default_rng(7)
    for column, value, _ in PLANTED:
        if column != "record_id":
            many.loc[random.random(len(many)) < 0.1, column] = value
    with pytest.raises(pa.errors.SchemaErrors) as caught:
        schema.validate(many, lazy=True)
    failing = caught.value.failure_cases[["column", "index"]].drop_duplicates()
    expected = failing.groupby("column", sort=False).size().to_dict()
    assert {item.column: item.row_count for item in validate_table(schema, many)} == expected


def test_a_missing_column_fails_in_every_row(
    schema: pa.DataFrameSchema, frame: pd.DataFrame
) -> None:
    assert validate_table(schema, frame.drop(columns=["age", "record_id"])) == (
        RuleFailure("record_id", "column_present", 3),
        RuleFailure("age", "column_present", 3),
    )


@pytest.mark.parametrize(
    ("column", "dtype"),
    [("age", "float64"), ("sex", "category"), ("smoker", "Int64"), ("race___1", "object")],
)
def test_a_mistyped_column_fails_in_every_row_and_is_not_judged_further(
    schema: pa.DataFrameSchema, frame: pd.DataFrame, column: str, dtype: str
) -> None:
    frame[column] = frame[column].astype(dtype)
    assert validate_table(schema, frame) == (RuleFailure(column, "dtype", 3),)


def test_pieces_of_a_table_add_up_to_the_whole(
    schema: pa.DataFrameSchema, frame: pd.DataFrame
) -> None:
    frame["age"] = pd.array([1, 50, 200], dtype="Int64")
    frame["site"] = pd.array(["A", "Z", None], dtype="string")
    whole = validate_table(schema, frame)
    pieces = [validate_table(schema, frame.iloc[start : start + 1]) for start in range(3)]
    by_name = {(item.column, item.rule): item.row_count for item in merge_failures(pieces)}
    assert by_name == {(item.column, item.rule): item.row_count for item in whole}
    assert by_name == {("age", "range"): 2, ("site", "choices"): 1}


def test_a_row_check_of_the_user_counts_rows(
    schema: pa.DataFrameSchema, frame: pd.DataFrame
) -> None:
    schema = pa.DataFrameSchema(
        schema.columns,
        checks=[
            pa.Check(
                lambda rows: (rows["pain"] < rows["age"]).fillna(value=True), name="pain_below_age"
            ),
            pa.Check(lambda rows: len(rows) > 3, name="enough_rows"),
        ],
    )
    assert validate_table(schema, frame) == (
        RuleFailure(None, "pain_below_age", 1),
        RuleFailure(None, "enough_rows", 3),
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("strict", True), ("coerce", True), ("ordered", True), ("index", pa.Index(int))],
)
def test_parts_of_pandera_that_are_not_supported_are_refused_by_name(
    frame: pd.DataFrame, option: str, value: Any
) -> None:
    schema = pa.DataFrameSchema({"age": pa.Column("Int64")}, name="mine", **{option: value})
    with pytest.raises(ConfigError, match=f"The schema mine uses {option}, which validate_table"):
        validate_table(schema, frame)


def test_no_value_is_in_what_comes_out(
    schema: pa.DataFrameSchema, frame: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    for column in frame.select_dtypes("string").columns:
        frame[column] = pd.array(["SENTINEL"] * 3, dtype="string")
    for column in frame.select_dtypes("Int64").columns:
        frame[column] = pd.array([987654321] * 3, dtype="Int64")
    frame["born"] = pd.array([dt.datetime(1866, 6, 6)] * 3, dtype="datetime64[s]")  # noqa: DTZ001
    failures = validate_table(schema, frame)
    shown = f"{failures!r} {[str(item) for item in failures]} {caplog.text}"
    assert len(failures) >= 8
    assert not any(value in shown for value in ("SENTINEL", "987654321", "1866"))
