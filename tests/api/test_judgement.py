"""What is made of each bad answer: error class, reason, sentence, tries, and nothing leaked."""

import io
import traceback
from dataclasses import dataclass
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import (
    AddressBannedError,
    AnswerError,
    ApiError,
    ApiTokenError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    TransportError,
)

TOKEN = "0123456789ABCDEF0123456789ABCDEF"
PATIENT = "Sentinel-Smith"
HTML = "<!DOCTYPE html><html><body>Bad gateway Sentinel-Smith</body></html>"
MEMORY = (
    "REDCap ran out of server memory. The request cannot be processed. "
    "Please try importing/exporting a smaller amount of data."
)
FATAL = (
    "<br />\n<b>Fatal error</b>:  Allowed memory size of 134217728 bytes exhausted (tried to "
    "allocate 20480 bytes) in <b>/var/www/redcap/Classes/Records.php</b> on line <b>88</b><br />\n"
)
UNCAUGHT = (
    "\nFatal error: Uncaught Error: Call to undefined function in "
    "/var/www/redcap/Classes/Records.php on line 88\n"
)
ROWS = 'record_id,name\n1,"Sentinel-Smith, John"\n'


@dataclass(frozen=True)
class Case:
    """One bad answer and what becomes of it."""

    name: str
    body: str | bytes
    error: type[ApiError]
    reason: str
    tries: int
    sentence: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = -1


CSV_CASES = [
    *(
        Case(f"{status} page", HTML, ServerError, "server_error", 3, f"HTTP {status}", status)
        for status in (500, 502, 503, 504, 408)
    ),
    Case("500 memory", FATAL, ServerError, "out_of_memory", 1, "ran out of memory", 500),
    Case("page as data", HTML, ServerError, "page_instead_of_data", 3, "web page"),
    Case("memory page", FATAL, ServerError, "out_of_memory", 1, "fewer records"),
    Case(
        "fatal then error object",
        FATAL + '{"error":"' + MEMORY + '"}',
        ServerError,
        "out_of_memory",
        1,
        "fewer records",
    ),
    Case("memory object", '{"error":"' + MEMORY + '"}', ServerError, "out_of_memory", 1, "fewer"),
    Case("rows then fatal", ROWS + FATAL, ServerError, "out_of_memory", 1, "fewer"),
    Case("rows then uncaught", ROWS + UNCAUGHT, ServerError, "php_failure", 3, "PHP"),
    Case(
        "rows then error object",
        ROWS + '{"error":"' + MEMORY + '"}',
        ServerError,
        "out_of_memory",
        1,
        "fewer",
    ),
    Case(
        "database down",
        "The hostname (db) / username (u) / password (hunter2) combination could not connect",
        ServerError,
        "database_down",
        3,
        "database",
    ),
    Case("error object", '{"error":"No"}', RequestRejectedError, "rejected", 1, "No."),
    Case("csv error", "ERROR: No", RequestRejectedError, "rejected", 1, "No."),
    Case(
        "xml error",
        '<?xml version="1.0" encoding="UTF-8" ?><hash><error>No &amp; no</error></hash>',
        RequestRejectedError,
        "rejected",
        1,
        "No & no.",
    ),
    Case(
        "unknown field",
        '{"error":"The following values in the parameter \\"fields\\" are not valid: \'x\'"}',
        RequestRejectedError,
        "rejected",
        1,
        "\"fields\" are not valid: 'x'.",
        400,
    ),
    Case(
        "message with an asked id",
        '{"error":"Sentinel-Smith was born 1970-01-01, \\"said Sentinel-Smith\\""}',
        RequestRejectedError,
        "rejected",
        1,
        'REDCap says: … was born … "…".',
        400,
    ),
    Case("400 page", HTML, RequestRejectedError, "rejected", 1, "web page", 400),
    Case("400 nothing", "", RequestRejectedError, "rejected", 1, "gave no reason", 400),
    Case("404", HTML, RequestRejectedError, "no_api_at_url", 1, "/api/", 404),
    Case(
        "501",
        '<?xml version="1.0" encoding="UTF-8" ?><hash><error>The requested method is not '
        "implemented.</error></hash>",
        RequestRejectedError,
        "rejected",
        1,
        "not implemented.",
        501,
    ),
    Case(
        "wrong token",
        '{"error":"You do not have permissions to use the API"}',
        ApiTokenError,
        "api_token",
        1,
        "wrong, was revoked or has expired",
        403,
    ),
    Case("403 nothing", "", ApiTokenError, "api_token", 1, "revoked", 403),
    Case(
        "missing right",
        '{"error":"You do not have Data Export privileges"}',
        RequestRejectedError,
        "not_permitted",
        1,
        "You do not have Data Export privileges. Have the rights",
        403,
    ),
    Case("firewall", HTML, RequestRejectedError, "not_permitted", 1, "firewall", 403),
    Case("429", "slow down", RateLimitedError, "too_many_requests", 3, "fewer requests", 429),
    Case(
        "ban page",
        "<html>Your IP address (10.0.0.1) has been banned due to suspected abuse.</html>",
        AddressBannedError,
        "address_banned",
        1,
        "permanent",
    ),
    Case(
        "ban text",
        "Your IP address (10.0.0.1) has been banned due to suspected abuse.",
        AddressBannedError,
        "address_banned",
        1,
        "permanent",
    ),
    Case(
        "ban with 403",
        "Your IP address (10.0.0.1) has been banned due to suspected abuse.",
        AddressBannedError,
        "address_banned",
        1,
        "permanent",
        403,
    ),
    Case("nothing at all", "", AnswerError, "empty", 3, "empty"),
    Case("no content", "", AnswerError, "not_as_asked", 3, "HTTP 204", 204),
    Case("in a cell", ROWS[:25], AnswerError, "ends_inside_a_cell", 3, "quoted cell"),
    Case("no last break", ROWS[:-1], AnswerError, "last_line_cut", 3, "line break"),
    Case("cut short", ROWS, TransportError, "cut_short", 3, "cut short", length=500),
    Case(
        "not gzip",
        ROWS,
        AnswerError,
        "unreadable",
        3,
        "decompressed",
        headers=(("Content_Encoding", "gzip"),),
    ),
    Case(
        "redirect",
        "",
        TransportError,
        "redirected",
        1,
        "on to https://other.example.org (HTTP 302)",
        302,
        (("Location", "https://other.example.org/secret/path?Sentinel-Smith"),),
    ),
    Case(
        "redirect in place",
        "",
        TransportError,
        "redirected",
        1,
        "another path of the same host",
        301,
        (("Location", "/redcap/api/"),),
    ),
]


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
    _assert_nothing_leaks(error)


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
    _assert_nothing_leaks(caught.value)


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
    _assert_nothing_leaks(caught.value)


JSON_CASES = [
    Case("cut", '[{"record_id":"1","name":"Sentinel-Sm', AnswerError, "unreadable", 3, "json"),
    Case("cut between rows", '[{"record_id":"1"},', AnswerError, "unreadable", 3, "json"),
    Case("broken within", '[{"record_id":"1",}]', AnswerError, "unreadable", 3, "json"),
    Case("blank", "\n", AnswerError, "empty", 3, "empty"),
    Case("an object", '{"record_id":"1"}', AnswerError, "not_as_asked", 3, "list of rows"),
    Case("no objects", '["Sentinel-Smith"]', AnswerError, "not_as_asked", 3, "list of rows"),
    Case("csv instead", ROWS, AnswerError, "unreadable", 3, "json"),
    Case("page", HTML, ServerError, "page_instead_of_data", 3, "web page"),
    Case("error object", '{"error": "No"}', RequestRejectedError, "rejected", 1, "No."),
    Case(
        "fatal then error object",
        FATAL + '{"error":"' + MEMORY + '"}',
        ServerError,
        "out_of_memory",
        1,
        "fewer",
    ),
    Case(
        "rows, then the error object",
        '[{"record_id":"1"}{"error":"' + MEMORY + '"}',
        ServerError,
        "out_of_memory",
        1,
        "fewer",
    ),
]


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
    _assert_nothing_leaks(error)


XML_CASES = [
    Case("cut", "<records><item><record_id>1</rec", AnswerError, "unreadable", 3, "xml"),
    Case("page", "<?xml version='1.0'?><!DOCTYPE html><html></html>", ServerError,
         "page_instead_of_data", 3, "web page"),
    Case("error", "<hash><error><![CDATA[No]]></error></hash>", RequestRejectedError, "rejected",
         1, "No."),
]  # fmt: skip


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
    _assert_nothing_leaks(caught.value)


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


def test_a_passing_failure_is_retried_and_leaves_no_trace_in_the_file(
    client: RedcapClient, server: Any, waits: list[float]
) -> None:
    server.answers(server.http(HTML, 502), server.http(ROWS[:-1]), server.http(ROWS))
    file = io.BytesIO()

    assert client.stream_records_csv(file) == len(ROWS)
    assert file.getvalue() == ROWS.encode()
    assert waits == [1.0, 2.0]
    stats = client.stats
    assert (stats.requests, stats.retries, stats.failures, stats.waited_s) == (3, 2, 2, 3.0)


def test_retry_after_in_seconds_and_as_a_date_is_obeyed(
    make_client: Any, server: Any, waits: list[float]
) -> None:
    held: list[float] = []

    class Budget:
        def acquire(self) -> float:
            return 0.0

        def hold_off(self, seconds: float) -> None:
            held.append(seconds)

    server.answers(
        server.http("", 429, Retry_After="7"),
        server.http(
            "",
            503,
            Date="Mon, 01 Jan 2024 00:00:00 GMT",
            Retry_After="Mon, 01 Jan 2024 00:00:30 GMT",
        ),
        server.http(ROWS),
    )

    assert make_client(budget=Budget()).export_records_csv() == ROWS.encode()
    assert waits == [7.0, 30.0]
    assert held == [7.0, 30.0]


def test_a_wait_longer_than_anyone_waits_is_told_to_the_caller(
    client: RedcapClient, server: Any, waits: list[float]
) -> None:
    server.answers(server.http("", 429, Retry_After="86400"))

    with pytest.raises(RateLimitedError) as caught:
        client.export_version()

    assert (caught.value.retry_after_s, caught.value.attempts, waits) == (86400.0, 1, [])


def test_the_servers_own_message_is_kept_for_the_callers_eyes(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http('{"error":"Record Sentinel-Smith is 7"}', 400))

    with pytest.raises(RequestRejectedError) as caught:
        client.export_records(records=[PATIENT])

    assert caught.value.server_message == "Record Sentinel-Smith is 7"
    assert "Record … is …." in str(caught.value)


def _assert_nothing_leaks(error: ApiError) -> None:
    """No asked id in what is printed of an error, and no token even where local variables are."""
    assert error.__cause__ is None
    assert error.__context__ is None
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert TOKEN not in "".join(frames.format())
    for text in (str(error), repr(error), "".join(traceback.format_exception(error))):
        assert PATIENT not in text
