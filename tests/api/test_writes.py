"""What the methods that change something send, what they refuse, and when they send again."""

import datetime as dt
import io
import json
import socket
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import AnswerError, ApiError, ConfigError

ARM = [{"arm_num": 1, "name": "A"}]
ROW = [{"record_id": "1", "age": 7}]
Sent = list[tuple[str, str]]
Method = Callable[[Any], Any]


def data(rows: list[dict[str, Any]]) -> tuple[str, str]:
    return ("data", json.dumps(rows))


COUNTED: list[tuple[str, Method, Sent]] = [
    ("metadata", lambda r: r.import_metadata([{"field_name": "a"}]), [data([{"field_name": "a"}])]),
    (
        "arm",
        lambda r: r.import_arms(ARM),
        [("action", "import"), ("override", "0"), data(ARM)],
    ),
    (
        "arm",
        lambda r: r.import_arms(ARM, override=True),
        [("action", "import"), ("override", "1"), data(ARM)],
    ),
    ("arm", lambda r: r.delete_arms([2]), [("action", "delete"), ("arms[0]", "2")]),
    (
        "event",
        lambda r: r.import_events([{"event_name": "E", "arm_num": 1}]),
        [("action", "import"), ("override", "0"), data([{"event_name": "E", "arm_num": 1}])],
    ),
    (
        "event",
        lambda r: r.delete_events(["e_arm_1"]),
        [("action", "delete"), ("events[0]", "e_arm_1")],
    ),
    (
        "formEventMapping",
        lambda r: r.import_form_event_mappings(ARM),
        [("action", "import"), data(ARM)],
    ),
    (
        "repeatingFormsEvents",
        lambda r: r.import_repeating_instruments_events(ARM),
        [("action", "import"), data(ARM)],
    ),
    (
        "project_settings",
        lambda r: r.import_project_settings([{"project_title": "T"}]),
        [data([{"project_title": "T"}])],
    ),
    (
        "dag",
        lambda r: r.import_data_access_groups(ARM),
        [("action", "import"), data(ARM)],
    ),
    (
        "dag",
        lambda r: r.delete_data_access_groups(["g"]),
        [("action", "delete"), ("dags[0]", "g")],
    ),
    (
        "userDagMapping",
        lambda r: r.import_user_data_access_group_mappings(ARM),
        [("action", "import"), data(ARM)],
    ),
    (
        "user",
        lambda r: r.import_users([{"username": "u", "forms": {"f": 1}}]),
        [data([{"username": "u", "forms": {"f": 1}}])],
    ),
    ("user", lambda r: r.delete_users(["u"]), [("action", "delete"), ("users[0]", "u")]),
    ("userRole", lambda r: r.import_user_roles(ARM), [data(ARM)]),
    (
        "userRole",
        lambda r: r.delete_user_roles(["U-1"]),
        [("action", "delete"), ("roles[0]", "U-1")],
    ),
    (
        "userRoleMapping",
        lambda r: r.import_user_role_mappings(ARM),
        [("action", "import"), data(ARM)],
    ),
    (
        "record",
        lambda r: r.delete_records(
            ["1", "2"],
            arm=1,
            instrument="visit",
            event="e_arm_1",
            repeat_instance=2,
            delete_logging=False,
        ),
        [
            ("action", "delete"),
            ("records[0]", "1"),
            ("records[1]", "2"),
            ("arm", "1"),
            ("instrument", "visit"),
            ("event", "e_arm_1"),
            ("repeat_instance", "2"),
            ("delete_logging", "0"),
        ],
    ),
]


@pytest.mark.parametrize(("content", "method", "parameters"), COUNTED)
@pytest.mark.parametrize("body", ["3", '"3"', '{"count": 3}', "<count>3</count>"])
def test_a_change_is_sent_under_redcaps_names_and_its_count_is_read(
    content: str, method: Method, parameters: Sent, body: str, client: RedcapClient, server: Any
) -> None:
    if body.startswith("<"):
        body = '"<count>3</count>"'
    server.answers(server.http(body))

    assert method(client) == 3
    sent = server.requests[0]
    assert dict(sent)["content"] == content
    assert sent[3 if "format" not in dict(sent) else 4 :] == parameters
    assert dict(sent).get("format") == ("json" if "data" in dict(sent) else None)


@pytest.mark.parametrize(("content", "method", "parameters"), COUNTED)
def test_a_change_that_answers_something_else_is_in_doubt_and_not_sent_again(
    content: str, method: Method, parameters: Sent, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("done"))

    with pytest.raises(AnswerError, match="look before sending it again") as caught:
        method(client)

    assert (caught.value.content, caught.value.retryable) == (content, False)
    assert len(server.requests) == 1
    assert parameters


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (lambda r: r.import_records({"record_id": "1"}), "put it into a list"),
        (lambda r: r.import_records([]), "no rows to import"),
        (lambda r: r.import_records(pd.DataFrame()), "no rows to import"),
        (lambda r: r.import_records("record_id\n1\n"), "need their `data_format`"),
        (lambda r: r.import_records(" \n", "csv"), "blank"),
        (lambda r: r.import_records("x", "yaml"), "`data_format` must be one of"),
        (lambda r: r.import_records(ROW, "json"), "leave it out"),
        (lambda r: r.import_records([{"a": object()}]), "of type object"),
        (
            lambda r: r.import_records([{"a": dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)}]),
            "has a time zone",
        ),
        (lambda r: r.import_records(ROW, return_content="auto_ids"), "force_auto_number=True"),
        (lambda r: r.import_records(ROW, overwrite_behavior="always"), "`overwrite_behavior`"),
        (lambda r: r.delete_records(None), "must name the records"),
        (lambda r: r.delete_records([]), "empty list"),
        (lambda r: r.delete_records(["1", " "]), "`records` holds a blank"),
        (lambda r: r.delete_records(["1"], instrument=""), "`instrument` is blank"),
        (lambda r: r.delete_records(["1"], event=" "), "`event` is blank"),
        (lambda r: r.rename_record("", "2"), "`record` is blank"),
        (lambda r: r.rename_record("1", ""), "`new_record_name` is blank"),
        (lambda r: r.delete_users([""]), "`users` holds a blank"),
        (lambda r: r.delete_arms([]), "empty list"),
        (lambda r: r.delete_records("12"), "takes a list"),
        (lambda r: r.delete_events(None), "empty list"),
        (lambda r: r.create_project({"project_title": "T", "purpose": 0}), "super tokens"),
        (lambda r: r.import_file("1", "f", io.StringIO("x")), "binary mode"),
        (lambda r: r.import_file("1", "f", b"x"), "`name` must say"),
        (lambda r: r.import_records(b"record_id\n1\n", "csv"), "decode them"),
        (lambda r: r.import_records([("1", "x")]), "are rows: a list of dicts"),
        (lambda r: r.import_records(None), "are rows: a list of dicts"),
        (lambda r: r.import_file("1", "f", "scan.pdf", name="scan.pdf"), "`file` must be bytes or"),
        (lambda r: r.export_logging(begin_time=dt.date(2024, 1, 1)), "a day without a time"),
        (lambda r: r.export_logging(log_type="all"), "`log_type` must be one of"),
        # What REDCap passes over, so that it would mean "all".
        (lambda r: r.export_records(forms=[""]), "`forms` holds a blank"),
        (lambda r: r.export_records(events=["visit_arm_1", " "]), "`events` holds a blank"),
        (lambda r: r.export_records(filter_logic=" "), "`filter_logic` is blank"),
        (lambda r: r.export_project_xml(records=[""]), "`records` holds a blank"),
        (lambda r: r.export_project_xml(filter_logic=""), "`filter_logic` is blank"),
        (lambda r: r.frames.export_metadata(forms=[""]), "`forms` holds a blank"),
        (lambda r: r.export_field_names(""), "`field` is blank"),
        (lambda r: r.export_logging(record=""), "`record` is blank"),
        (lambda r: r.export_logging(user=""), "`user` is blank"),
        (lambda r: r.export_logging(data_access_group=""), "`data_access_group` is blank"),
        (lambda r: r.export_pdf(record=""), "`record` is blank"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    method: Method, sentence: str, client: RedcapClient, server: Any
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        method(client)
    assert server.requests == []


@pytest.mark.parametrize(
    ("method", "version", "sentence"),
    [
        (
            lambda r: r.export_records(combine_checkbox_options=True),
            "16.0.9",
            "REDCap record: `combine_checkbox_options` needs REDCap 16.1.0 or later; this",
        ),
        (lambda r: r.randomize_record("1", 1), "14.6.9", "needs REDCap 14.7.0"),
        (lambda r: r.export_file_repository(), "12.5.0", "the file repository needs"),
        (lambda r: r.import_records(ROW, background_process=True), "13.9.9", "needs REDCap 14.0.0"),
        (lambda r: r.call_external_module("p", "a"), "13.1.0", "needs REDCap 14.0.0"),
        (lambda r: r.export_records(date_range_begin="2024-01-01 00:00:00"), "9.1.3", "10.0.0"),
    ],
)
def test_what_a_server_is_too_old_for_is_not_sent_and_its_version_is_asked_once(
    method: Method, version: str, sentence: str, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(version))

    for _ in range(2):
        with pytest.raises(ConfigError, match=sentence):
            method(client)

    assert [dict(request)["content"] for request in server.requests] == ["version"]


@pytest.mark.parametrize(
    ("status", "headers", "tries", "retryable"),
    [
        (500, {}, 1, False),
        (502, {}, 1, False),
        (503, {"Retry_After": "1"}, 1, False),
        (504, {}, 1, False),
        (429, {}, 3, True),
        (400, {}, 1, False),
    ],
)
def test_a_change_is_sent_again_only_when_redcap_has_certainly_not_seen_it(
    status: int,
    headers: dict[str, str],
    tries: int,
    retryable: bool,
    client: RedcapClient,
    server: Any,
) -> None:
    server.answers(server.http("<html>", status, **headers))

    with pytest.raises(ApiError) as caught:
        client.import_records(ROW)

    assert (len(server.requests), caught.value.retryable) == (tries, retryable)
    in_doubt = status >= 500
    assert ("look before sending it again" in str(caught.value)) is in_doubt


def test_a_change_to_a_server_that_cannot_be_reached_is_tried_again(
    make_client: Any, waits: list[float]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = make_client(api_url=f"http://127.0.0.1:{port}/api/")

    with pytest.raises(ApiError) as caught:
        client.import_records(ROW)

    assert (caught.value.reason, caught.value.retryable) == ("connection_refused", True)
    assert len(waits) == 2


def test_a_connection_lost_while_changing_leaves_doubt(client: RedcapClient, server: Any) -> None:
    server.answers(b"<reset>")

    with pytest.raises(ApiError, match="could not be found out") as caught:
        client.delete_records(["1"])

    assert (caught.value.reason, caught.value.retryable) == ("connection_lost", False)
    assert len(server.requests) == 1
