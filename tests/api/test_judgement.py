"""What is made of each bad answer: error class, reason, sentence, tries, and nothing leaked."""

import io
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import AnswerError, ApiError, RequestRejectedError, ServerError
from tests.api.bad_answers import (
    CSV_CASES,
    FATAL,
    HTML,
    JSON_CASES,
    PATIENT,
    ROWS,
    XML_CASES,
    Case,
    assert_nothing_leaks,
)


@pytest.mark.parametrize("case", CSV_CASES, ids=lambda case: case.name)
def test_a_bad_answer_to_a_csv_export_raises_its_error_and_leaves_nothing(
    case: Case, client: RedcapClient, server: Any
) -> None:
    answer = server.http(case.body, case.status, length=case.length, **dict(case.headers))
    server.answers(answer)
    file = io.BytesIO(b"kept")
    file.seek(4)

    with pytest.raises(ApiError) as caught:
        client.stream_records_csv(file, records=[PATIENT], filter_logic=f"[name] = '{PATIENT}'")

    error = caught.value
    assert type(error) is case.error
    assert (error.content, error.reason, error.attempts) == ("record", case.reason, case.tries)
    assert error.status == (None if case.name in {"not gzip", "cut short"} else case.status)
    assert case.sentence in str(error)
    assert file.getvalue() == b"kept"
    assert len(server.requests) == case.tries
    assert client.stats.requests == client.stats.failures == case.tries
    assert_nothing_leaks(error)


CUT = [
    ("in the middle of a quoted cell", ROWS[:25], "ends_inside_a_cell"),
    ("at the end of a line within a cell", 'record_id,name\n1,"Sentinel\n', "ends_inside_a_cell"),
    ("in the middle of a line", ROWS + "2,Sent", "last_line_cut"),
]


@pytest.mark.parametrize(("body", "reason"), [case[1:] for case in CUT], ids=[c[0] for c in CUT])
@pytest.mark.parametrize("way", ["stream", "bytes", "frame"])
def test_a_csv_cut_where_http_tells_no_length_is_not_believed(
    body: str, reason: str, way: str, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(body, length=None))
    ask = {
        "stream": lambda: client.stream_records_csv(io.BytesIO()),
        "bytes": client.export_records_csv,
        "frame": client.frames.export_records,
    }

    with pytest.raises(AnswerError) as caught:
        ask[way]()

    assert (caught.value.reason, caught.value.attempts) == (reason, 3)
    assert_nothing_leaks(caught.value)


def test_a_csv_cut_at_the_end_of_a_line_is_missed_by_its_records(
    client: RedcapClient, server: Any
) -> None:
    metadata = '[{"field_name":"record_id","form_name":"f","field_type":"text"}]'
    ids = '[{"record_id":"1"},{"record_id":"2"}]'
    cut = server.http(ROWS, length=None)
    server.answers(server.http(metadata), server.http("[]"), server.http(ids), cut)

    with pytest.raises(AnswerError, match="1 of 2 asked records came back without a row") as caught:
        list(client.frames.iter_records())

    assert (caught.value.reason, caught.value.attempts) == ("record_missing", 3)
    assert_nothing_leaks(caught.value)


@pytest.mark.parametrize("case", JSON_CASES, ids=lambda case: case.name)
def test_a_bad_answer_to_a_json_export_raises_its_error(
    case: Case, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(case.body, case.status))

    with pytest.raises(ApiError) as caught:
        client.export_records(records=[PATIENT])

    error = caught.value
    assert type(error) is case.error
    assert (error.reason, error.attempts, error.status) == (case.reason, case.tries, 200)
    assert case.sentence in str(error)
    assert_nothing_leaks(error)


@pytest.mark.parametrize("case", XML_CASES, ids=lambda case: case.name)
def test_a_bad_answer_to_an_xml_export_raises_its_error(
    case: Case, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(case.body))

    with pytest.raises(case.error, match=case.sentence) as caught:
        client.xml.export_records()

    assert (caught.value.reason, caught.value.attempts) == (case.reason, case.tries)


def test_a_csv_frame_whose_line_lacks_a_cell_is_not_believed(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("record_id,name,age\n1,Sentinel-Smith\n"))

    with pytest.raises(AnswerError, match="another number of cells") as caught:
        client.frames.export_records()

    assert caught.value.attempts == 3
    assert_nothing_leaks(caught.value)


@pytest.mark.parametrize("body", ["", "15.0.0-beta of a page", "<html>15.0.0</html>"])
def test_a_version_that_is_no_version_is_not_believed(
    body: str, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(body))

    with pytest.raises(ApiError) as caught:
        client.export_version()

    assert caught.value.attempts == 3


@pytest.mark.parametrize(
    "body",
    [
        "\ufeffrecord_id,name\n1,x\n",
        "record_id,name\r\n1,x\r\n",
        'record_id,name\n1,"<html> Fatal error: at ""work"" on line 3"\n',
        'record_id,name\n1,"{""error"":""x""}"\n',
        'record_id,name\n1,"a\r\nb, ""c"" 😀"\n',
    ],
)
def test_a_good_csv_is_handed_over_as_it_is_but_for_a_byte_order_mark(
    body: str, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(body, length=None))
    file = io.BytesIO()

    written = client.stream_records_csv(file)

    assert file.getvalue() == body.removeprefix("\ufeff").encode()
    assert written == len(file.getvalue())


def test_csv_with_label_headers_may_begin_with_a_label_that_looks_like_an_error(
    client: RedcapClient, server: Any
) -> None:
    body = "ERROR: code,<b>Name</b>\n1,x\n"
    server.answers(server.http(body))

    assert client.export_records_csv(raw_or_label_headers="label") == body.encode()


def test_white_space_is_an_export_without_rows(client: RedcapClient, server: Any) -> None:
    server.answers(server.http("\n"))

    assert client.export_records_csv() == b""
    assert client.frames.export_records(raw_or_label_headers="label").shape == (0, 0)


def test_the_servers_own_message_is_kept_for_the_callers_eyes(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http('{"error":"Record Sentinel-Smith is 7"}', 400))

    with pytest.raises(RequestRejectedError) as caught:
        client.export_records(records=[PATIENT])

    assert caught.value.server_message == "Record Sentinel-Smith is 7"
    assert "Record … is …." in str(caught.value)


XML = '<?xml version="1.0" encoding="UTF-8" ?>'


@pytest.mark.parametrize("return_format", ["xml", "odm", "json"])
@pytest.mark.parametrize("body", [f"{XML}\n<data><x>1</x></data>", f"{XML}<items></items>"])
def test_xml_of_an_external_module_is_no_page(
    body: str, return_format: Any, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("14.7.3"), server.http(body))

    assert client.call_external_module("p", "list", return_format=return_format) == body


def test_xml_of_an_external_module_may_lack_its_declaration(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("14.7.3"), server.http("<data/>"))

    assert client.call_external_module("p", "list", return_format="xml") == "<data/>"


@pytest.mark.parametrize("body", [HTML, f"{XML}\n{HTML}", f"{XML}<html></html>", "<div>Log in"])
def test_a_page_in_the_place_of_an_external_module_is_a_page(
    body: str, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("14.7.3"), server.http(body))

    with pytest.raises(ServerError) as caught:
        client.call_external_module("p", "list")

    assert caught.value.reason == "page_instead_of_data"


def test_a_count_of_an_import_may_come_as_xml(client: RedcapClient, server: Any) -> None:
    server.answers(server.http(f"{XML}<count>3</count>"))

    assert client.import_records([{"record_id": "1"}]).count == 3


@pytest.mark.parametrize(
    "note",
    [
        "Pump showed Fatal error: occlusion",
        "said {&quot;error&quot;:&quot;x&quot;}",
        '<![CDATA[{"error":"x"}]]>',
        "<![CDATA[<html> of a page]]>",
        "Fatal error: Allowed memory size of 5 bytes exhausted",
    ],
)
def test_a_note_in_xml_is_not_taken_for_a_failure(
    note: str, client: RedcapClient, server: Any
) -> None:
    body = f"{XML}\n<records>\n<item><note>{note}</note></item>\n</records>\n"
    server.answers(server.http(body))

    assert client.xml.export_records() == body


@pytest.mark.parametrize("body", ["<" + "a" * 60_000, "<a" + " " * 60_000, "<a " * 20_000])
def test_a_tag_that_never_ends_is_judged_at_once(
    body: str, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(body))

    with pytest.raises(AnswerError) as caught:
        client.xml.export_records()

    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("is_whole", [False, True])
def test_php_that_dies_after_xml_is_named(
    is_whole: bool, client: RedcapClient, server: Any
) -> None:
    rows = f"{XML}\n<records>\n<item><note>x</note></item>\n" + "</records>" * is_whole
    server.answers(server.http(rows + FATAL))

    with pytest.raises(ServerError) as caught:
        client.xml.export_records()

    assert caught.value.reason == "out_of_memory"
