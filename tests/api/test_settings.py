"""Addresses, tokens and parameters are checked before anything is sent."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.api.address import is_loopback, origin, parse_api_url
from redcap_dagster.api.api_token import parse_api_token
from redcap_dagster.api.parameters import build_pairs
from redcap_dagster.errors import ConfigError


@pytest.mark.parametrize(
    "url",
    [
        "https://redcap.example.org/api/",
        "https://redcap.example.org:8443/redcap/api/",
        "http://127.0.0.1:8000/api/",
        "http://127.8.9.10/api/",
        "http://localhost/api/",
        "http://[::1]:8000/api/",
    ],
)
def test_an_address_that_can_work_is_taken(url: str) -> None:
    assert parse_api_url(f" {url}\n") == url


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("https://redcap.example.org", "Did you mean https://redcap.example.org/api/?"),
        ("https://redcap.example.org/", "Did you mean https://redcap.example.org/api/?"),
        ("https://redcap.example.org/api", "Did you mean https://redcap.example.org/api/?"),
        ("https://h/redcap/", "Did you mean https://h/redcap/api/?"),
        ("http://redcap.example.org/api/", "Use https://redcap.example.org/api/"),
        ("http://127.example.org/api/", "plain http"),
        ("http://localhost.example.org/api/", "plain http"),
        ("redcap.example.org/api/", "not an http(s) URL"),
        ("ftp://redcap.example.org/api/", "not an http(s) URL"),
        ("https:///api/", "not an http(s) URL"),
        ("https://redcap..example.org/api/", "not an http(s) URL"),
        ("https://" + "a" * 64 + ".example.org/api/", "not an http(s) URL"),
        ("https://*.example.org/api/", "not an http(s) URL"),
        ("https://redcap example.org/api/", "not an http(s) URL"),
        ("https://h:99999/api/", "not an http(s) URL"),
        ("https://[::1/api/", "not an http(s) URL"),
        ("", "not an http(s) URL"),
        ("https://me:secret@h/api/", "carries a user name"),
        ("https://h/api/?token=secret", "carries a user name, a query"),
    ],
)
def test_an_address_that_cannot_work_says_what_it_should_look_like(url: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_api_url(url)

    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("https://user:secret@redcap.example.org:8443/a/api/?b") == (
        "https://redcap.example.org:8443"
    )
    assert origin("http://[::1]:8000/api/") == "http://[::1]:8000"
    assert is_loopback("http://[::1]:80/api/")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://redcap.example.org:443/api/", "https://redcap.example.org"),
        ("https://REDCap.example.org./b/api/", "https://redcap.example.org"),
        ("http://[::1]:80/api/", "http://[::1]"),
        ("https://redcap.example.org:80/api/", "https://redcap.example.org:80"),
    ],
)
def test_one_server_has_one_origin_however_it_is_written(url: str, server: str) -> None:
    assert origin(url) == server


def test_a_token_is_taken_without_its_line_break_and_shows_itself_to_nobody() -> None:
    token = parse_api_token("0123456789abcdefABCDEF0123456789\n")

    assert token.reveal() == "0123456789abcdefABCDEF0123456789"
    assert (repr(token), str(token), token.is_super) == (
        "ApiToken(hidden)",
        "ApiToken(hidden)",
        False,
    )
    assert parse_api_token("z" * 64).is_super


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is blank"),
        (" \n", "is blank"),
        ("REDCAP_API_TOKEN", "has 16 characters"),
        ("secret" * 5, "has 30 characters"),
        ("g" * 32, "has 32 characters"),
    ],
)
def test_a_text_that_is_no_token_is_refused_unseen(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_api_token(text)

    assert sentence in str(caught.value)
    assert "secretsecret" not in str(caught.value)
    assert "gggg" not in str(caught.value)


def test_parameters_are_written_as_redcap_reads_them() -> None:
    values = {"a": None, "b": False, "c": True, "d": 0, "e": "", "f": ["x", "y"], "g": [1]}

    assert build_pairs(values) == (
        ("c", "true"),
        ("d", "0"),
        ("e", ""),
        ("f[0]", "x"),
        ("f[1]", "y"),
        ("g[0]", "1"),
    )


@pytest.mark.parametrize(
    "value",
    [
        "12",
        b"12",
        7,
        pd.Series(["1", "2"]),
        pd.Index(["1", "2"]),
        np.array(["1"]),
        (name for name in ["1"]),
        {"1": "2"},
    ],
)
def test_what_is_no_list_of_names_is_refused_by_name(value: Any) -> None:
    client = RedcapClient("http://127.0.0.1:9/api/", "0" * 32, retries=0)
    asks: list[tuple[str, Any]] = [
        ("records", lambda: client.export_records(records=value)),
        ("fields", lambda: client.export_metadata(fields=value)),
        ("events", lambda: client.export_project_xml(events=value)),
        ("arms", lambda: client.export_arms(arms=value)),
        ("arms", lambda: client.delete_arms(value)),
        ("users", lambda: client.delete_users(value)),
        ("records", lambda: client.delete_records(value)),
    ]
    for name, ask in asks:
        with pytest.raises(ConfigError, match=f"`{name}` takes a list"):
            ask()


@pytest.mark.parametrize("item", [None, 1.0, True, b"1", ["1"]])
def test_a_list_of_other_things_than_names_is_refused(item: Any) -> None:
    with pytest.raises(ConfigError, match=r"`records` holds a \w+, which is no name"):
        build_pairs({"records": ["1", item]})


@pytest.mark.parametrize("value", [["1", "2"], ("1", "2"), [1, np.int64(2)], range(1, 3)])
def test_names_come_in_any_list_and_numbers_are_names(value: Any) -> None:
    assert build_pairs({"records": value}) == (("records[0]", "1"), ("records[1]", "2"))


@pytest.mark.parametrize("seconds", [0, -1, None, "5", float("nan"), float("inf"), 86_401])
@pytest.mark.parametrize("option", ["connect_timeout_s", "read_timeout_s"])
def test_a_timeout_that_cannot_work_is_refused_at_once(option: str, seconds: Any) -> None:
    with pytest.raises(ConfigError, match=f"`{option}` is a number of seconds"):
        RedcapClient("http://127.0.0.1:9/api/", "0" * 32, **{option: seconds})


@pytest.mark.parametrize("url", [None, 7])
def test_an_address_that_is_no_text_is_refused(url: Any) -> None:
    with pytest.raises(ConfigError, match="REDCap API URL must be a text"):
        RedcapClient(url, "0" * 32)
