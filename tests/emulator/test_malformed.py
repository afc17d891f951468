"""Malformed requests get REDCap's kind of error: no traceback, no hang, no file anywhere else."""

import gzip
import io
import json
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_dagster.emulator import RedcapEmulator, synthetic_project
from redcap_dagster.emulator.contents.methods import METHODS

SUPER_TOKEN = "6" * 64
DEEP = 100_000
HUGE = "9" * 400
ODD_TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "1e999",
    HUGE,
    "99999999999999999999",
    "\u0661",
    "NaN",
    "\x00",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "../../etc/passwd",
    "..\\..\\windows",
    "C:\\x",
    "'; DROP TABLE record; --",
    "%00",
    "\u202e",
    "a" * 10_000,
    "[" * 2_000,
    "(" * 2_000,
    "[record_id] = " + "(" * 500 + "1" + ")" * 500,
    "[record_id",
    "[enrolment_count_2] + 'x' > ",
    "9999-99-99 99:99",
    "{",
    "[]",
    "{}",
    "[1]",
    "[[]]",
    "null",
    '"x"',
    "[null]",
    '[{"record_id":{}}]',
    '[{"record_id":[1]}]',
    '[{"record_id":null}]',
    '[{"record_id":"1","record_id":"2"}]',
    '[{"record_id":1e400}]',
    "record_id\n1,2,3",
    'record_id\n"1',
    "<x",
    "<x/>",
    "<records><item/></records>",
)


@pytest.fixture(scope="module")
def target() -> Iterator[tuple[RedcapEmulator, str]]:
    with RedcapEmulator(super_token=SUPER_TOKEN) as redcap:
        yield redcap, redcap.add_project(synthetic_project(6, shape="everything"))


@pytest.fixture(autouse=True)
def _no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    logged = caplog.get_records("call")
    assert [record.getMessage() for record in logged if record.levelname == "ERROR"] == []


def names_of_parameters() -> list[str]:
    own = {parameter.name for method in METHODS for parameter in method.parameters}
    return sorted(
        own
        | {"data", "odm", "records", "fields", "forms", "events", "arms", "dag", "dags", "users"}
        | {"roles", "record", "field", "event", "instrument", "repeat_instance", "arm", "override"}
        | {"folder_id", "doc_id", "name", "report_id", "new_record_name", "randomization_id"}
        | {"beginTime", "endTime", "logtype", "user", "type", "filterLogic", "csvDelimiter"}
    )


def is_redcaps_kind_of_answer(answer: requests.Response) -> bool:
    """Whether a body is what a server sends: a list, a text, or an error in its own shape."""
    if answer.status_code == 200:
        return True
    text = answer.text
    return answer.status_code in {400, 403, 501} and (
        text.startswith(
            ("ERROR: ", '{"error":"', '<?xml version="1.0" encoding="UTF-8" ?><hash><error>')
        )
    )


def still_answers(redcap: RedcapEmulator) -> None:
    data = {"token": SUPER_TOKEN, "content": "version", "format": "csv"}
    assert requests.post(redcap.url, data=data, timeout=30).text == "16.1.4"


pairs = st.lists(
    st.tuples(
        st.sampled_from(names_of_parameters()),
        st.sampled_from(["", "[0]", "[]", "[x][y]", "[", "]"]),
        st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=30)),
    ),
    max_size=5,
)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from([(method.content, method.action) for method in METHODS]),
    body_format=st.sampled_from(["csv", "json", "xml", "odm", "", "x"]),
    parameters=pairs,
)
def test_any_parameters_get_an_answer_of_redcaps_kind(
    target: tuple[RedcapEmulator, str],
    method: tuple[str, str],
    body_format: str,
    parameters: list[tuple[str, str, str]],
) -> None:
    redcap, _ = target
    # A fresh token each time would be slow: what one request changes, the next one meets.
    data = [
        ("token", redcap.store.users()[0].token),
        ("content", method[0]),
        ("action", method[1]),
        ("format", body_format),
        *(
            (name + index, text.encode("utf-8", "replace").decode())
            for name, index, text in parameters
        ),
    ]
    answer = requests.post(redcap.url, data=data, timeout=30)
    assert is_redcaps_kind_of_answer(answer), (answer.status_code, answer.text[:300])


@pytest.mark.parametrize("body_format", ["csv", "json", "xml"])
@pytest.mark.parametrize(
    ("content", "action"),
    [(method.content, method.action) for method in METHODS if method.action == "import"],
)
def test_every_import_refuses_what_is_no_data(
    target: tuple[RedcapEmulator, str], content: str, action: str, body_format: str
) -> None:
    redcap, token = target
    for text in ODD_TEXTS:
        data = {
            "token": token,
            "content": content,
            "action": action,
            "format": body_format,
            "data": text,
        }
        answer = requests.post(redcap.url, data=data, timeout=30)
        assert is_redcaps_kind_of_answer(answer), (text[:40], answer.status_code)


@pytest.mark.parametrize(
    "text", ["[" * DEEP, '[{"a":' * DEEP, "<a>" * DEEP, "<a>" * 500 + "</a>" * 500]
)
@pytest.mark.parametrize("body_format", ["json", "xml"])
def test_deep_data_is_refused(
    target: tuple[RedcapEmulator, str], body_format: str, text: str
) -> None:
    redcap, token = target
    data = {"token": token, "content": "record", "format": body_format, "data": text}
    assert requests.post(redcap.url, data=data, timeout=30).status_code == 400


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + level)} "{f"&{chr(97 + level)};" * 10}">' for level in range(9))
    + "]><records><item><record_id>&j;</record_id></item></records>"
)
FOREIGN = (
    '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
    "<records><item><record_id>&secret;</record_id></item></records>"
)


@pytest.mark.parametrize("text", [BOMB, FOREIGN])
@pytest.mark.parametrize("parameter", ["data", "odm"])
def test_entities_are_refused(
    target: tuple[RedcapEmulator, str], parameter: str, text: str
) -> None:
    redcap, token = target
    given_data = {
        "data": {"token": token, "content": "record", "format": "xml", "data": text},
        "odm": {
            "token": SUPER_TOKEN,
            "content": "project",
            "format": "json",
            "data": '[{"project_title":"x","purpose":0}]',
            "odm": text,
        },
    }[parameter]
    answer = requests.post(redcap.url, data=given_data, timeout=30)
    assert answer.status_code == 400
    assert "root:" not in answer.text
    still_answers(redcap)


def test_a_compressed_body_is_not_unpacked(target: tuple[RedcapEmulator, str]) -> None:
    redcap, token = target
    plain = f"token={token}&content=record&format=csv&data=".encode() + b"a" * 50_000_000
    answer = requests.post(
        redcap.url,
        data=gzip.compress(plain),
        headers={
            "content-encoding": "gzip",
            "content-type": "application/x-www-form-urlencoded",
        },
        timeout=30,
    )
    assert answer.status_code == 501
    still_answers(redcap)


@pytest.mark.parametrize(
    "name",
    [
        "../../../../tmp/escaped.txt",
        "/etc/passwd",
        "..\\..\\escaped.txt",
        "x" * 5000,
        "a\r\nX-Injected: 1.txt",
        'quote".txt',
        "",
        "naïve 漢字.txt",
        ".",
        "..",
    ],
)
def test_file_names_stay_names(
    target: tuple[RedcapEmulator, str], name: str, tmp_path: Path
) -> None:
    redcap, token = target
    before = sorted(redcap.store.path.parent.iterdir())
    data = {"token": token, "content": "fileRepository", "action": "import", "format": "json"}
    part = {"file": (name, io.BytesIO(b"hello"), "text/plain")}
    answer = requests.post(redcap.url, data=data, files=part, timeout=30)
    assert is_redcaps_kind_of_answer(answer)
    listing = {"token": token, "content": "fileRepository", "action": "list", "format": "json"}
    for entry in requests.post(redcap.url, data=listing, timeout=30).json():
        assert "/" not in entry["name"]
        assert "\\" not in entry["name"]
        export = {**listing, "action": "export", "doc_id": entry.get("doc_id", "0")}
        got = requests.post(redcap.url, data=export, timeout=30)
        assert "x-injected" not in got.headers
    assert sorted(redcap.store.path.parent.iterdir()) == before
    assert not any(tmp_path.iterdir())


def raw(redcap: RedcapEmulator, sent: bytes) -> bytes:
    """Send bytes as they are and return the first line of the answer."""
    address = urlsplit(redcap.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        received = b""
        # A server may close in the middle of what it will not read.
        with suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
    return received.split(b"\r\n")[0]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x00" * 1000,
        b"POST /api/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ntoken=",
        b"POST /api/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"POST /api/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /api/ HTTP/1.1\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_broken_http_hurts_nobody_else(target: tuple[RedcapEmulator, str], sent: bytes) -> None:
    redcap, _ = target
    # 200: httptools, where it is installed, takes any HTTP version, and `/` has a page for people.
    statuses = {f"HTTP/1.1 {status}".encode() for status in (200, 400, 404, 501)}
    assert raw(redcap, sent)[:12] in {b"", *statuses}
    still_answers(redcap)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n"),
        ("multipart/form-data; boundary=x", b"--x--\r\n--x--"),
        ("multipart/form-data; boundary=", b"--\r\n"),
        ("multipart/form-data", b"token=1"),
        ("application/x-www-form-urlencoded", b"%zz=%&&&==&[]=[&%ff=%fe&\x00=\xff"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"a=b"),
        ("application/json", b'{"content":"record"}'),
        ("text/plain", b"\xff\xfe"),
        ("", b"content=record"),
    ],
)
def test_bodies_that_are_no_form_are_refused(
    target: tuple[RedcapEmulator, str], content_type: str, body: bytes
) -> None:
    redcap, _ = target
    headers = {"content-type": content_type}
    answer = requests.post(redcap.url, data=body, headers=headers, timeout=30)
    assert answer.status_code in {400, 403, 501}
    assert is_redcaps_kind_of_answer(answer)


def test_random_bytes_for_a_body_are_refused(target: tuple[RedcapEmulator, str]) -> None:
    redcap, _ = target
    chance = random.Random(1)  # noqa: S311 - the same odd bytes in each run
    kinds = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x")
    for _ in range(60):
        answer = requests.post(
            redcap.url,
            data=chance.randbytes(chance.randrange(2000)),
            headers={"content-type": chance.choice(kinds)},
            timeout=30,
        )
        assert answer.status_code in {400, 403, 501}
        assert is_redcaps_kind_of_answer(answer)


def test_a_file_more_than_one_is_refused(target: tuple[RedcapEmulator, str]) -> None:
    redcap, token = target
    files: Any = [("file", ("a", b"1")), ("file", ("b", b"2"))]
    data = {"token": token, "content": "fileRepository", "action": "import"}
    answer = requests.post(redcap.url, data=data, files=files, timeout=30)
    assert answer.status_code == 400
    assert is_redcaps_kind_of_answer(answer)


def test_odd_texts_come_back_as_they_went_in(target: tuple[RedcapEmulator, str]) -> None:
    redcap, _ = target
    token = redcap.add_project(synthetic_project(0))
    texts = [text for text in ODD_TEXTS if text.strip() == text and text and "\x00" not in text]
    rows = [
        {"record_id": str(number), "enrolment_text_1": text}
        for number, text in enumerate(texts, start=1)
    ]
    data = {"token": token, "content": "record", "format": "json"}
    sent = requests.post(redcap.url, data={**data, "data": json.dumps(rows)}, timeout=30)
    assert sent.text == f'{{"count": {len(rows)}}}'
    fields = {"fields[0]": "record_id", "fields[1]": "enrolment_text_1"}
    assert requests.post(redcap.url, data={**data, **fields}, timeout=30).json() == rows


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain"])
def test_a_client_that_leaves_in_the_middle_hurts_nobody(
    target: tuple[RedcapEmulator, str], content_type: str
) -> None:
    redcap, _ = target
    head = f"POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n"
    address = urlsplit(redcap.url)
    for _ in range(5):
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(f"{head}Content-Length: 100\r\n\r\ntoken=".encode())
    still_answers(redcap)
