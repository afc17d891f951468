"""The token stays where it is: scanned for in everything a client leaves behind."""

import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from redcap_dagster.api import EnvironmentSecret, RedcapClient, check_variable_name
from redcap_dagster.errors import ApiError, ConfigError, RedcapDagsterError

TOKEN = "0123456789ABCDEF0123456789ABCDEF"
SUPER_TOKEN = "0123456789ABCDEF" * 4
# In two parts, as a traceback prints the lines of this file.
PATIENT = "Sentinel-" + "Smith"
ROW = [{"record_id": PATIENT, "age": 7}]

CALLS: list[Callable[[RedcapClient], Any]] = [
    lambda r: r.export_records(records=[PATIENT]),
    lambda r: r.frames.export_records(),
    lambda r: r.csv.export_metadata(),
    lambda r: list(r.iter_records()),
    lambda r: r.stream_records_csv(io.BytesIO()),
    lambda r: r.import_records(ROW),
    lambda r: r.delete_records([PATIENT]),
    lambda r: r.import_users([{"username": "u"}]),
    lambda r: r.export_file(PATIENT, "scan"),
    lambda r: r.import_file(PATIENT, "scan", b"x", name="x"),
    lambda r: r.export_survey_link(PATIENT, "visit"),
    lambda r: r.export_file_repository(),
]
ANSWERS: list[bytes] = [
    b"<reset>",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nrecord_id",
    b"HTTP/1.1 302 Found\r\nLocation: http://h/?token=" + TOKEN.encode() + b"\r\n\r\n",
    b'HTTP/1.1 400 Bad\r\n\r\n{"error":"token ' + TOKEN.encode() + b' of nobody"}',
    b"HTTP/1.1 200 OK\r\n\r\n<html>" + TOKEN.encode() + b"</html>",
    b"HTTP/1.1 200 OK\r\n\r\n" + TOKEN.encode(),
    b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps([{"a": TOKEN}]).encode(),
]


@pytest.mark.parametrize("answer", range(len(ANSWERS)))
@pytest.mark.parametrize("call", range(len(CALLS)))
def test_no_failure_shows_the_token_or_what_was_asked(
    call: int, answer: int, make_client: Any, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    server.answers(ANSWERS[answer])

    with caplog.at_level(logging.DEBUG):
        told = outcome_of(lambda: CALLS[call](client))

    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert [text for text in (*told, logged) if TOKEN in text or PATIENT in text] == []


def outcome_of(call: Callable[[], Any]) -> list[str]:
    """What can be printed of a failure, or sent to another process; nothing of a success."""
    try:
        call()
    except RedcapDagsterError as error:
        causes = [str(cause) for cause in (error.__cause__, error.__context__) if cause]
        pickled = pickle.dumps(RuntimeError(str(error))).decode("latin-1")
        printed = "".join(traceback.format_exception(error))
        return [str(error), repr(error), printed, pickled, *causes]
    return []


@pytest.mark.parametrize("call", range(len(CALLS)))
def test_local_variables_of_a_traceback_do_not_hold_the_token(
    call: int, make_client: Any, server: Any
) -> None:
    server.answers(b"<reset>")
    client = make_client()

    with pytest.raises(ApiError) as caught:
        CALLS[call](client)

    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert TOKEN not in "".join(frames.format())


def test_nothing_that_shows_a_client_shows_its_token(make_client: Any) -> None:
    client = make_client()
    parts = [client, client.frames, client._sender, client._sender.transport, client.stats]

    assert not [part for part in parts if TOKEN in f"{part!r}{part}{vars_of(part)!r}"]
    for part in (client, client._sender.api_token):
        with pytest.raises(TypeError, match="does not pickle"):
            pickle.dumps(part)


def vars_of(part: Any) -> dict[str, Any]:
    return vars(part) if hasattr(part, "__dict__") else {}


def test_a_token_is_read_from_the_environment_where_it_is_used(
    make_client: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDCAP_API_TOKEN", TOKEN)
    monkeypatch.setenv("OTHER_TOKEN", SUPER_TOKEN)
    source = pickle.loads(pickle.dumps(EnvironmentSecret("OTHER_TOKEN")))  # noqa: S301
    server.answers(server.http("16.1.4"))

    for given in (None, source):
        assert make_client(api_token=given).export_version() == "16.1.4"

    assert [dict(request)["token"] for request in server.requests] == [TOKEN, SUPER_TOKEN]
    assert repr(source) == "EnvironmentSecret(variable='OTHER_TOKEN')"


def test_a_vault_of_the_callers_own_is_asked_for_the_token(make_client: Any, server: Any) -> None:
    class Vault:
        def read(self) -> str:
            return TOKEN + "\n"

    server.answers(server.http("16.1.4"))

    make_client(api_token=Vault()).export_version()

    assert dict(server.requests[0])["token"] == TOKEN


def test_a_variable_that_is_not_set_is_named(
    make_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDCAP_API_TOKEN", raising=False)

    with pytest.raises(ConfigError, match="variable REDCAP_API_TOKEN is not set where this runs"):
        make_client(api_token=None)


def test_an_address_is_no_name_of_a_variable() -> None:
    with pytest.raises(ConfigError, match="what is given is an address"):
        check_variable_name("https://redcap.example.org/api/")


@pytest.mark.parametrize("token", ["0123456789abcdefABCDEF0123456789", "a1" * 32, " " + "F" * 32])
def test_a_token_in_the_place_of_its_variables_name_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError, match="looks like an API token") as caught:
        EnvironmentSecret(token)
    assert token.strip() not in "".join(traceback.format_exception(caught.value, chain=True))
