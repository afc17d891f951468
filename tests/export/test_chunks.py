"""One csv answer, compared with what was asked."""

import pytest

from redcap_dagster.errors import AnswerError
from redcap_dagster.export import Batch, read_chunk
from redcap_dagster.project import ExportColumn

COLUMNS = (
    ExportColumn("record_id", "record_id", "visit", "record_id"),
    ExportColumn("redcap_repeat_instrument", "repeat_instrument"),
    ExportColumn("redcap_repeat_instance", "repeat_instance"),
    ExportColumn("redcap_data_access_group", "data_access_group", is_optional=True),
    ExportColumn("name", "value", "visit", "name"),
    ExportColumn("visit_complete", "form_status", "visit"),
)
HEADER = b"record_id,redcap_repeat_instrument,redcap_repeat_instance,name,visit_complete\n"
BATCH = Batch(("001", "2"), ("visit",))


def test_every_cell_is_the_text_that_was_sent() -> None:
    body = HEADER + (
        '001,,,"NA",2\n2,,,"a ""quoted"", \r\n line — 😀",\n2,visit,1,1e5,0\n'.encode()
    )
    chunk = read_chunk(body, BATCH, COLUMNS)
    assert chunk.table.to_pydict() == {
        "record_id": ["001", "2", "2"],
        "redcap_repeat_instrument": ["", "", "visit"],
        "redcap_repeat_instance": ["", "", "1"],
        "redcap_data_access_group": [None, None, None],
        "name": ["NA", 'a "quoted", \r\n line — 😀', "1e5"],
        "visit_complete": ["2", "", "0"],
    }
    assert chunk.byte_count == len(body)


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n"])
def test_a_blank_body_has_no_rows_and_every_column(body: bytes) -> None:
    chunk = read_chunk(body, BATCH, COLUMNS)
    assert chunk.table.column_names == [column.name for column in COLUMNS]
    assert chunk.table.num_rows == 0


def test_a_byte_order_mark_and_windows_line_ends_are_no_data() -> None:
    body = b"\xef\xbb\xbf" + (HEADER + b"001,,,a,2\n2,,,b,2\n").replace(b"\n", b"\r\n")
    chunk = read_chunk(body, BATCH, COLUMNS)
    assert chunk.table.column("name").to_pylist() == ["a", "b"]
    assert chunk.table.column("visit_complete").to_pylist() == ["2", "2"]


def test_bytes_that_are_not_utf8_are_replaced_alone_and_counted() -> None:
    body = HEADER + b'001,,,"caf\xe9 \n\xff noir",2\n2,,,\xef\xbf\xbd,2\n'
    chunk = read_chunk(body, BATCH, COLUMNS)
    assert chunk.table.column("name").to_pylist() == ["caf� \n� noir", "�"]
    assert chunk.replaced == {"name": 1}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"record_id,name\n001,a\n", "lacks 3 of the asked columns: redcap_repeat_instrument, "),
        (
            HEADER.replace(b"\n", b",SECRET\n") + b"001,,,a,2,x\n",
            "has 1 columns that were not asked for",
        ),
        (HEADER + b"001,,,a,2\n2,,,b\n", "more or fewer cells than its header"),
        (HEADER + b"001,,,a,2\n3,,,SECRET,2\n", "1 rows of records that were not asked for"),
        (
            HEADER.replace(b"\n", b",name\n") + b"001,,,a,2,x\n",
            "names a column twice",
        ),
    ],
)
def test_an_answer_that_does_not_fit_the_question_is_not_believed(
    body: bytes, sentence: str
) -> None:
    with pytest.raises(AnswerError, match=sentence) as caught:
        read_chunk(body, BATCH, COLUMNS)
    assert caught.value.retryable
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
