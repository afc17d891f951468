"""Choices as codes, labels or both; checkboxes as columns or lists; read the same everywhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redcap_dagster.errors import ConfigError
from redcap_dagster.project import Choice, DictionaryField, RedcapProject
from redcap_dagster.tables import (
    ExtractWriter,
    TableOptions,
    plan_tables,
    published_path,
    read_published,
    split_chunk,
    to_pandas,
)
from redcap_dagster.tables.arrow_types import CATEGORY, TEXT_LIST

MakeChunk = Callable[[RedcapProject, list[dict[str, str]]], pa.Table]

SEVERITY = (Choice("-1", "None"), Choice("ABC", "Mild é"), Choice("9..9", "Severe"))
FIELDS = [
    "record_id",
    DictionaryField("severity", "visit", "radio", label="Severity", choices=SEVERITY),
    DictionaryField("race", "visit", "checkbox", label="Race", choices=SEVERITY),
]
ROWS = [
    {"record_id": "1", "severity": "9..9", "race____1": "1", "race___abc": "0", "race___9__9": "1"},
    {"record_id": "2", "severity": "ABC", "race____1": "0", "race___abc": "0", "race___9__9": "0"},
    {"record_id": "3", "severity": "8"},
    {"record_id": "4"},
]


@pytest.fixture
def project(make_project: Callable[..., RedcapProject]) -> RedcapProject:
    return make_project({"visit": FIELDS})


def split(project: RedcapProject, chunk: pa.Table, **options: Any) -> tuple[pa.Table, pa.Table]:
    specs = plan_tables(project, options=TableOptions(**options))
    done = split_chunk(chunk, project, specs)
    return done.tables["visit"], done.rejected


@pytest.mark.parametrize(
    ("choices", "checkboxes", "expected"),
    [
        (
            "codes",
            "list",
            {
                "severity": ["9..9", "ABC", "8", None],
                "race": [["-1", "9..9"], [], None, None],
            },
        ),
        (
            "labels",
            "list",
            {
                "severity": ["Severe", "Mild é", None, None],
                "race": [["None", "Severe"], [], None, None],
            },
        ),
        (
            "both",
            "list",
            {
                "severity": ["9..9", "ABC", "8", None],
                "severity__label": ["Severe", "Mild é", None, None],
                "race": [["-1", "9..9"], [], None, None],
                "race__label": [["None", "Severe"], [], None, None],
            },
        ),
        (
            "labels",
            "columns",
            {
                "severity": ["Severe", "Mild é", None, None],
                "race____1": [True, False, None, None],
                "race___abc": [False, False, None, None],
                "race___9__9": [True, False, None, None],
            },
        ),
    ],
)
def test_each_layout_shows_the_same_answers(
    choices: str,
    checkboxes: str,
    expected: dict[str, Any],
    project: RedcapProject,
    make_chunk: MakeChunk,
) -> None:
    table, rejected = split(
        project, make_chunk(project, ROWS), choices=choices, checkboxes=checkboxes
    )
    own = [name for name in table.column_names if name.startswith(("severity", "race"))]
    assert table.select(own).to_pydict() == expected
    assert list(expected) == own
    # Where there is no column of codes, a code without a label is found among the rejected.
    unlabelled = [{"field": "severity", "value": "8", "rule": "choices"}]
    assert rejected.select(["field", "value", "rule"]).to_pylist() == (
        unlabelled if choices == "labels" else []
    )


def test_categories_are_all_labels_in_display_order_whatever_was_answered(
    project: RedcapProject, make_chunk: MakeChunk
) -> None:
    for rows in (ROWS, ROWS[:1], ROWS[3:], []):
        table, _ = split(project, make_chunk(project, rows), choices="labels")
        column = table["severity"].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0)
        assert column.type.equals(CATEGORY)
        assert column.dictionary.to_pylist() == ["None", "Mild é", "Severe"]
        frame = to_pandas(table)
        assert list(frame["severity"].cat.categories) == ["None", "Mild é", "Severe"]
        assert frame["severity"].cat.ordered


def test_labels_that_two_choices_share_are_told_apart_by_the_code(
    make_project: Callable[..., RedcapProject], make_chunk: MakeChunk
) -> None:
    choices = (Choice("1", "Other"), Choice("2", "Other"), Choice("3", ""), Choice("4", "3"))
    field = DictionaryField("why", "visit", "dropdown", choices=choices)
    project = make_project({"visit": ["record_id", field]})
    rows = [{"record_id": code, "why": code} for code in "1234"]
    table, _ = split(project, make_chunk(project, rows), choices="labels")
    assert table["why"].to_pylist() == ["Other (1)", "Other (2)", "3 (3)", "3 (4)"]


def test_missing_data_codes_of_a_listed_checkbox_have_a_list_of_their_own(
    make_project: Callable[..., RedcapProject], make_chunk: MakeChunk
) -> None:
    project = make_project({"visit": FIELDS}, missing_codes=["UNK", "-999"])
    rows = [{"record_id": "1", "race___unk": "1", "race____999": "0"}, {"record_id": "2"}]
    table, _ = split(project, make_chunk(project, rows), checkboxes="list")
    assert table.select(["race", "race__missing"]).to_pydict() == {
        "race": [None, None],
        "race__missing": [["UNK"], None],
    }


@pytest.mark.parametrize("choices", ["codes", "labels", "both"])
def test_a_checkbox_that_lost_its_choices_keeps_its_missing_data_codes(
    make_project: Callable[..., RedcapProject], make_chunk: MakeChunk, choices: str
) -> None:
    bare = DictionaryField("race", "visit", "checkbox")
    project = make_project({"visit": ["record_id", bare]}, missing_codes=["UNK"])
    chunk = make_chunk(project, [{"record_id": "1", "race___unk": "1"}])
    table, _ = split(project, chunk, choices=choices, checkboxes="list")
    assert table.column("race__missing").to_pylist() == [["UNK"]]
    assert "race" not in table.column_names


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no choices='label'; it takes codes, labels, both"):
        TableOptions(choices="label")  # type: ignore[arg-type]


@pytest.fixture(params=[ROWS, ROWS[3:], []], ids=["rows", "all blank", "no rows"])
def published(
    request: pytest.FixtureRequest, tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk
) -> tuple[Path, pa.Table]:
    """A published table of every kind of column that options add, and what was written."""
    specs = plan_tables(project, options=TableOptions(choices="both", checkboxes="list"))
    with ExtractWriter(tmp_path, project, specs) as writer:
        for row in request.param:
            writer.write(make_chunk(project, [row]))
        writer.publish()
    chunk = make_chunk(project, request.param)
    return tmp_path, split_chunk(chunk, project, specs).tables["visit"]


def test_what_was_published_reads_back_with_its_categories(
    published: tuple[Path, pa.Table],
) -> None:
    shelf, written = published
    table = read_published(shelf, "visit")
    assert table.schema.equals(written.schema, check_metadata=True)
    assert table.to_pydict() == written.to_pydict()
    assert list(to_pandas(table)["severity__label"].cat.categories) == ["None", "Mild é", "Severe"]


def test_files_hold_arrows_own_types_and_nothing_for_pandas_alone(
    published: tuple[Path, pa.Table],
) -> None:
    """R's arrow makes an ordered factor of an ordered dictionary, and a list of a list."""
    path = published_path(published[0], "visit")
    schema = pq.read_schema(path)
    assert b"pandas" not in (schema.metadata or {})
    assert schema.field("severity__label").type.equals(CATEGORY)
    assert schema.field("race").type.equals(TEXT_LIST)
    stated = schema.field("severity__label").metadata[b"redcap.categories"]
    assert json.loads(stated) == ["None", "Mild é", "Severe"]


def test_polars_reads_the_same_values(published: tuple[Path, pa.Table]) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    shelf, written = published
    frame = polars.read_parquet(published_path(shelf, "visit"))
    assert frame.schema["severity__label"] == polars.Categorical
    assert frame.schema["race"] == polars.List(polars.String)
    assert frame.to_dict(as_series=False) == written.to_pydict()
    levels = polars.Enum(["None", "Mild é", "Severe"])
    ordered = frame["severity__label"].cast(levels)
    assert ordered.to_list() == written["severity__label"].to_pylist()


def test_duckdb_reads_the_same_values(published: tuple[Path, pa.Table]) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the extra `example` is not installed")
    shelf, written = published
    found = duckdb.read_parquet(str(published_path(shelf, "visit")))
    types = dict(zip(found.columns, map(str, found.types), strict=True))
    assert (types["severity__label"], types["race"]) == ("VARCHAR", "VARCHAR[]")
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    assert rows == written.to_pylist()


def test_pandas_alone_reads_the_same_values(published: tuple[Path, pa.Table]) -> None:
    shelf, written = published
    frame = pd.read_parquet(published_path(shelf, "visit"))
    labels = frame["severity__label"]
    assert labels.cat.ordered
    found = {
        "record_id": frame["record_id"].tolist(),
        "severity__label": [None if pd.isna(value) else value for value in labels],
        "race": [None if value is None else list(value) for value in frame["race"]],
    }
    assert found == written.select(list(found)).to_pydict()
