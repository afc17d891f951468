"""What no server should send and no caller hand in ends as an error of ours, without the token."""

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import (
    AnswerError,
    ConfigError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from tests.api.bad_answers import TOKEN, assert_nothing_leaks

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "https://[bad/",
        "https://host:99999/x",
        "http://x:abc/",
        "https://" + "a" * 70 + ".org/",
        "caf\xe9/",
        "//",
        "",
    ],
)
def test_a_redirect_to_nowhere_is_a_redirect(
    location: str, client: RedcapClient, server: Any
) -> None:
    server.answers(b"HTTP/1.1 302 Found\r\nLocation: " + location.encode("latin-1") + b"\r\n\r\n")

    with pytest.raises(TransportError, match="redirect is never followed") as caught:
        client.export_version()

    assert caught.value.reason == "redirected"
    assert_nothing_leaks(caught.value)


def test_the_body_of_a_redirect_is_not_waited_for(make_client: Any, server: Any) -> None:
    head = server.http(b"", 302, length=10**9, Location="https://other.example.org/")
    server.answers(head + b"x" * 300_000 + b"<stall>")

    with pytest.raises(TransportError) as caught:
        make_client(read_timeout_s=0.2).export_version()

    assert caught.value.reason == "redirected"


@pytest.mark.parametrize(
    "moment",
    [
        "Fri, 01 Jan 2021 00:00:00 +99999999999999999999",
        "Fri, 01 Jan 2021 00:00:00 +9999",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "1e5",
    ],
)
def test_a_pause_that_cannot_be_read_is_none(
    moment: str, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("slow down", 429, Retry_After=moment))

    with pytest.raises(RateLimitedError) as caught:
        client.export_version()

    assert_nothing_leaks(caught.value)


@pytest.mark.parametrize(
    ("ask", "body", "reason"),
    [
        (lambda r: r.export_records(), DEEP, "unreadable"),
        (lambda r: r.json.export_records(), DEEP, "unreadable"),
        (lambda r: r.json.export_records(), "[1]", "not_as_asked"),
        (lambda r: r.read_attributes(), "[]", "not_as_asked"),
        (lambda r: r.json.export_records(), '["1"]', "not_as_asked"),
        (lambda r: r.json.export_records(), '{"record_id":"1"}', "not_as_asked"),
        (lambda r: r.export_records(), "[" * 400 + '"\xff"' + "]" * 400, "not_as_asked"),
        (lambda r: r.export_records(), '{"error":' + DEEP + "}", "unreadable"),
        (lambda r: r.import_records([{"record_id": "1"}]), DEEP, "not_as_asked"),
        (lambda r: r.import_records([{"record_id": "1"}]), "9" * 5000, "not_as_asked"),
        (lambda r: r.delete_records(["1"]), "\u00b2", "not_as_asked"),
        (lambda r: r.export_version(), "1." + "9" * 5000, "not_as_asked"),
        (lambda r: r.frames.export_records(), "\nrecord_id\n1\n", "unreadable"),
    ],
)
def test_an_answer_that_no_reader_takes_is_not_believed(
    ask: Callable[[RedcapClient], Any], body: str, reason: str, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(body.encode("latin-1")))

    with pytest.raises(AnswerError) as caught:
        ask(client)

    assert caught.value.reason == reason
    assert_nothing_leaks(caught.value)


@pytest.mark.parametrize("prefix", ["\nWarning: ", "PHP Notice:  ", "\nDeprecated: "])
@pytest.mark.parametrize(
    "ask",
    [
        lambda r: r.frames.export_records(),
        lambda r: r.export_records_csv(),
        lambda r: r.export_records(),
        lambda r: r.generate_next_record_name(),
    ],
)
def test_a_warning_of_php_before_an_answer_is_named(
    prefix: str, ask: Callable[[RedcapClient], Any], client: RedcapClient, server: Any
) -> None:
    server.answers(
        server.http(f"{prefix}Undefined key in /var/www/x.php on line 3\nrecord_id\n1\n")
    )

    with pytest.raises(ServerError, match="PHP's error text") as caught:
        ask(client)

    assert caught.value.reason == "php_failure"
    assert_nothing_leaks(caught.value)


def test_a_length_of_thousands_of_digits_is_no_length(client: RedcapClient, server: Any) -> None:
    server.answers(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n15.0.0")

    assert client.export_version() == "15.0.0"


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda r: r.export_records(records=["1", "\ud800"]), r"`records\[1\]` holds a half"),
        (lambda r: r.import_records([{"record_id": "1", "a": "\udfff"}]), "`data` holds a half"),
        (lambda r: r.import_file("1", "f", b"x", name="a\udce4.txt"), "`file` holds a half"),
        (lambda r: r.call_external_module("p", "a", {"\ud800": ""}), "A name of a parameter"),
    ],
)
def test_half_a_character_is_not_sent(
    ask: Callable[[RedcapClient], Any], sentence: str, client: RedcapClient, server: Any
) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        ask(client)

    assert server.requests == []
    assert_no_token(caught.value)


@pytest.mark.parametrize("token", [TOKEN.encode(), 7, [TOKEN]])
def test_a_token_that_is_no_text_is_refused(token: Any) -> None:
    with pytest.raises(ConfigError, match="`api_token` must be a text") as caught:
        RedcapClient("https://redcap.example.org/api/", token)

    assert_no_token(caught.value)


def test_an_option_that_cannot_work_leaves_the_token_in_no_frame() -> None:
    with pytest.raises(ConfigError) as caught:
        RedcapClient("https://redcap.example.org/", TOKEN)

    assert_no_token(caught.value)


def assert_no_token(error: Exception) -> None:
    """No token in a local variable of ours; the test's own holds it."""
    assert error.__cause__ is None
    assert error.__context__ is None
    assert error.__traceback__ is not None
    frames = traceback.StackSummary.extract(
        traceback.walk_tb(error.__traceback__.tb_next), capture_locals=True
    )
    assert TOKEN not in "".join(frames.format())
