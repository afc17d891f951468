"""Columns that are read alike are parsed together, and come out as if each were alone."""

import pyarrow as pa
import pytest

from redcap_dagster.tables.parse import ParsedColumn, Reading, parse_columns

NUMBER = Reading("integer")
CODED = Reading("integer", ("UNK", "NA"))
CHUNK = pa.table(
    {
        "record_id": pa.array(["1", "2", "3"]),
        "weight": pa.array(["70", "", "81"]),
        "height": pa.array(["170", "tall", "+180"]),
        "pulse": pa.array(["", "", ""]),
        "age": pa.array(["UNK", "40", ""]),
        "visits": pa.array(["3", "4", "5"]),
    }
)
READINGS = {
    "weight": NUMBER,
    "height": NUMBER,
    "pulse": NUMBER,
    "age": CODED,
    "visits": CODED,
}


def listed(column: ParsedColumn) -> list[list[object] | None]:
    arrays = (column.text, column.values, column.codes, column.misfits)
    return [None if array is None else array.to_pylist() for array in arrays]


@pytest.fixture(params=[1, 6, 65_536])
def parsed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The columns parsed one by one, two by two, and all together."""
    monkeypatch.setattr("redcap_dagster.tables.parse._CELLS_TOGETHER", request.param)
    columns = parse_columns(CHUNK, READINGS)
    assert list(columns) == CHUNK.column_names
    return {name: listed(column) for name, column in columns.items()}


def test_a_column_without_a_reading_stays_text(parsed: dict[str, object]) -> None:
    assert parsed["record_id"] == [["1", "2", "3"], ["1", "2", "3"], None, None]


def test_a_misfit_is_that_of_its_own_column(parsed: dict[str, object]) -> None:
    assert parsed["height"] == [
        ["170", "tall", "+180"],
        [170, None, 180],
        None,
        [False, True, False],
    ]
    assert parsed["weight"] == [["70", None, "81"], [70, None, 81], None, None]
    assert parsed["pulse"] == [[None] * 3, [None] * 3, None, None]


def test_missing_data_codes_are_taken_out_of_the_column_that_has_them(
    parsed: dict[str, object],
) -> None:
    assert parsed["age"] == [["UNK", "40", None], [None, 40, None], ["UNK", None, None], None]
    text, values, codes, misfits = parsed["visits"]  # type: ignore[misc]
    assert (text, values, misfits) == (["3", "4", "5"], [3, 4, 5], None)
    assert codes in (None, [None] * 3)


def test_columns_in_pieces_and_of_other_text_types_are_read_the_same() -> None:
    pieces = pa.chunked_array([pa.array(["1"]), pa.array([], pa.string()), pa.array(["", "3"])])
    chunk = pa.table({"weight": pieces, "height": pa.array(["4", None, "6"], pa.large_string())})
    columns = parse_columns(chunk, READINGS)
    assert columns["weight"].values.to_pylist() == [1, None, 3]
    assert columns["height"].values.to_pylist() == [4, None, 6]


def test_a_chunk_without_rows_has_typed_columns() -> None:
    columns = parse_columns(CHUNK.slice(0, 0), READINGS)
    assert list(columns) == CHUNK.column_names
    assert columns["weight"].values.type == pa.int64()
    assert len(columns["age"].values) == 0
