"""Tables of any make: pandas or Arrow, text or typed."""

import pandas as pd
import pyarrow as pa
import pytest

from redcap_dagster.errors import ConfigError, LogicNameError
from redcap_dagster.logic import StudyFrame, evaluate_table, parse_logic
from redcap_dagster.project import (
    Choice,
    DictionaryField,
    Instrument,
    MissingDataCode,
    ProjectInfo,
    RedcapProject,
    RepeatRule,
)

TEXT = {
    "a": ["1", "", "x"],
    "d": ["2024-03-01", "", "2024-03-02"],
    "t": ["2024-03-01 08:30", "", ""],
}
PROJECT = RedcapProject(
    ProjectInfo(1, "study", missing_data_codes=(MissingDataCode("UNK", "Unknown"),)),
    "14.0.0",
    (
        Instrument(
            "base",
            "Base",
            (
                DictionaryField("id", "base", "text"),
                DictionaryField("d", "base", "text", validation="date_ymd"),
                DictionaryField("t", "base", "text", validation="datetime_ymd"),
                DictionaryField("race", "base", "checkbox", choices=(Choice("1", "A"),)),
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(TEXT),
        pd.DataFrame(TEXT, dtype=object).replace("", None),
        pd.DataFrame(TEXT).astype("string").replace("", pd.NA),
        pd.DataFrame(TEXT).astype("category"),
        pa.table(TEXT),
        pa.table({name: pa.array(texts).dictionary_encode() for name, texts in TEXT.items()}),
        pa.concat_tables([pa.table(TEXT).slice(0, 1), pa.table(TEXT).slice(1)]),
    ],
    ids=["str", "object", "string", "category", "arrow", "dictionary", "chunks"],
)
def test_texts_are_read_from_every_kind_of_column(table: pd.DataFrame | pa.Table) -> None:
    found = evaluate_table(parse_logic("concat([a], '|', [d])"), StudyFrame(table))
    assert found.text.tolist() == ["1|2024-03-01", "|", "x|2024-03-02"]
    assert evaluate_table(parse_logic("[a] > 0"), StudyFrame(table)).is_true.tolist() == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("dtype", ["float64", "Float64", "Int64", "float64[pyarrow]"])
def test_numbers_are_used_as_they_are(dtype: str) -> None:
    frame = pd.DataFrame({"a": pd.Series([2.0, None]).astype(dtype)})
    found = evaluate_table(parse_logic("[a] * 2"), StudyFrame(frame))
    assert found.number.tolist() == [4.0, pd.NA]
    assert found.text.tolist() == ["4", ""]
    assert evaluate_table(parse_logic("[a] = ''"), StudyFrame(frame)).is_true.tolist() == [
        False,
        True,
    ]


def test_booleans_are_ticks() -> None:
    frame = pd.DataFrame({"race___1": pd.array([True, False, None], dtype="boolean")})
    found = evaluate_table(parse_logic("[race(1)] = '1'"), StudyFrame(frame))
    assert found.is_true.tolist() == [True, False, False]


def test_typed_dates_are_written_as_the_field_stores_them() -> None:
    stamps = pd.to_datetime(["2024-03-01 08:30", None]).astype("datetime64[s]")
    frame = pd.DataFrame({"id": ["1", "2"], "d": stamps, "t": stamps})
    found = evaluate_table(parse_logic("concat([d], '|', [t])"), StudyFrame(frame, PROJECT))
    assert found.text.tolist() == ["2024-03-01|2024-03-01 08:30", "|"]


def test_results_keep_the_index_of_the_frame() -> None:
    frame = pd.DataFrame({"a": ["1", "2"]}, index=["x", "y"])
    found = evaluate_table(parse_logic("[a] + 1"), StudyFrame(frame))
    for series in (found.number, found.text, found.is_true):
        assert series.index.tolist() == ["x", "y"]
    constant = evaluate_table(parse_logic("1 = 1"), StudyFrame(frame))
    assert constant.is_true.tolist() == [True, True]
    assert constant.text.tolist() == ["1", "1"]


def test_a_table_without_rows_gives_no_values() -> None:
    frame = pd.DataFrame({"a": [], "b": []}, dtype="str")
    for text in ("[a] + 1", "[a] > '2024-01-01'", "upper([a])", "median([a], [b], 1)"):
        found = evaluate_table(parse_logic(text), StudyFrame(frame))
        assert (len(found.number), len(found.text), len(found.is_true)) == (0, 0, 0)


def test_a_column_that_is_not_there_is_not_taken_for_blank() -> None:
    study = StudyFrame(pd.DataFrame({"id": ["1"]}), PROJECT)
    with pytest.raises(LogicNameError, match="no column d"):
        evaluate_table(parse_logic("[d] = ''"), study)
    with pytest.raises(LogicNameError, match="no column race___1"):
        evaluate_table(parse_logic("[race(1)] = '0'"), study)


def test_a_missing_code_that_nobody_used_may_have_no_column() -> None:
    study = StudyFrame(pd.DataFrame({"id": ["1"]}), PROJECT)
    assert evaluate_table(parse_logic("[race(UNK)] = '0'"), study).is_true.tolist() == [True]


def test_a_table_must_say_where_its_rows_belong() -> None:
    project = RedcapProject(
        PROJECT.info, "14.0.0", PROJECT.instruments, repeats=(RepeatRule(None, "base"),)
    )
    study = StudyFrame(pd.DataFrame({"id": ["1"], "d": [""]}), project)
    with pytest.raises(ConfigError, match="no column redcap_repeat_instrument"):
        evaluate_table(parse_logic("[d] = ''"), study)


def test_neither_reprs_nor_errors_show_values() -> None:
    mixed = StudyFrame(pd.DataFrame({"a": ["SENTINEL", 1]}, dtype=object))
    with pytest.raises(ConfigError, match="Column a mixes values") as caught:
        evaluate_table(parse_logic("[a] = 1"), mixed)
    study = StudyFrame(pd.DataFrame({"a": ["SENTINEL"]}))
    found = evaluate_table(parse_logic("[a]"), study)
    shown = [repr(study), repr(found), repr(caught.value), str(caught.value)]
    assert "SENTINEL" not in "".join(shown)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_many_distinct_datetimes_are_read_as_one_by_one() -> None:
    whole = pd.date_range("2024-01-01", periods=12_000, freq="s")
    texts = whole.strftime("%Y-%m-%d %H:%M:%S").tolist()
    texts[5:9] = ["2024-01-01", "2024-01-01 7:05", "0000-01-01", "abc"]
    study = StudyFrame(pd.DataFrame({"a": texts}))
    few = StudyFrame(pd.DataFrame({"a": texts[:20]}))
    for text in ("datediff([a], '2024-01-01', 's')", "[a] < '2024-01-01 00:00:07'"):
        many = evaluate_table(parse_logic(text), study).number.head(20)
        assert many.tolist() == evaluate_table(parse_logic(text), few).number.tolist()
    texts[9] = "2024-02-30"
    broken = StudyFrame(pd.DataFrame({"a": texts}))
    found = evaluate_table(parse_logic("year([a])"), broken).number.head(12)
    assert found.isna().tolist() == [False] * 7 + [True] * 3 + [False] * 2
