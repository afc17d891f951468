"""What the methods send, and what they make of good answers."""

import copy
import json
import logging
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pandas as pd
import pytest

from redcap_dagster.api import RedcapClient, RequestStats
from redcap_dagster.errors import ConfigError, RequestRejectedError

TOKEN = "0123456789ABCDEF0123456789ABCDEF"
ASKS = [("token", TOKEN), ("format", "json"), ("returnFormat", "json")]

LIST_METHODS: list[tuple[str, Callable[[Any], Any], list[tuple[str, str]]]] = [
    ("metadata", lambda redcap: redcap.export_metadata(), []),
    (
        "metadata",
        lambda redcap: redcap.export_metadata(fields=["a", "b"], forms=["f"]),
        [("fields[0]", "a"), ("fields[1]", "b"), ("forms[0]", "f")],
    ),
    ("exportFieldNames", lambda redcap: redcap.export_field_names(), []),
    ("exportFieldNames", lambda redcap: redcap.export_field_names("a"), [("field", "a")]),
    ("instrument", lambda redcap: redcap.export_instruments(), []),
    ("arm", lambda redcap: redcap.export_arms(), []),
    ("arm", lambda redcap: redcap.export_arms([1, 2]), [("arms[0]", "1"), ("arms[1]", "2")]),
    ("event", lambda redcap: redcap.export_events([2]), [("arms[0]", "2")]),
    (
        "formEventMapping",
        lambda redcap: redcap.export_form_event_mappings([2]),
        [("arms[0]", "2")],
    ),
    ("repeatingFormsEvents", lambda redcap: redcap.export_repeating_instruments_events(), []),
    ("user", lambda redcap: redcap.export_users(), []),
    ("userRole", lambda redcap: redcap.export_user_roles(), []),
    ("userRoleMapping", lambda redcap: redcap.export_user_role_mappings(), []),
    ("dag", lambda redcap: redcap.export_data_access_groups(), []),
    ("userDagMapping", lambda redcap: redcap.export_user_data_access_group_mappings(), []),
]


@pytest.mark.parametrize(("content", "method", "parameters"), LIST_METHODS)
def test_a_list_method_sends_its_parameters_and_returns_redcaps_rows(
    content: str,
    method: Callable[[Any], Any],
    parameters: list[tuple[str, str]],
    client: RedcapClient,
    server: Any,
) -> None:
    rows = [{"a": 1, "b": "Ä/é"}, {"a": 2, "b": ""}]
    server.answers(server.http(json.dumps(rows).replace("/", "\\/")))

    assert method(client) == rows
    assert server.requests == [[ASKS[0], ("content", content), *ASKS[1:], *parameters]]


@pytest.mark.parametrize(("content", "method", "parameters"), LIST_METHODS)
def test_the_same_methods_return_frames_of_text(
    content: str,
    method: Callable[[Any], Any],
    parameters: list[tuple[str, str]],
    client: RedcapClient,
    server: Any,
) -> None:
    server.answers(server.http('a,b\n01,"x, ""y""\r\nz"\nNA,\n'))

    frame = method(client.frames)

    expected = pd.DataFrame({"a": ["01", "NA"], "b": ['x, "y"\r\nz', ""]}, dtype="string")
    pd.testing.assert_frame_equal(frame, expected)
    assert dict(server.requests[0])["format"] == "csv"
    assert [pair for pair in server.requests[0] if pair in parameters] == parameters
    assert dict(server.requests[0])["content"] == content


def test_every_parameter_of_a_record_export_goes_out_under_redcaps_name(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("16.1.4"), server.http("record_id\tname\n1\tx\n"))

    frame = client.frames.export_records(
        records=["1", "a b"],
        fields=["record_id"],
        forms=["baseline"],
        events=["visit_1_arm_1"],
        raw_or_label="label",
        raw_or_label_headers="label",
        export_checkbox_label=True,
        export_survey_fields=True,
        export_data_access_groups=True,
        filter_logic="[age] > 30",
        date_range_begin=datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001 — the server's local time
        date_range_end="2024-02-01 00:00:00",
        csv_delimiter="tab",
        decimal_character=".",
        export_blank_for_gray_form_status=True,
        combine_checkbox_options=True,
        record_type="flat",
    )

    assert dict(server.requests[0])["content"] == "version"
    assert server.requests[1:] == [
        [
            ("token", TOKEN),
            ("content", "record"),
            ("format", "csv"),
            ("returnFormat", "json"),
            ("type", "flat"),
            ("fields[0]", "record_id"),
            ("forms[0]", "baseline"),
            ("events[0]", "visit_1_arm_1"),
            ("rawOrLabel", "label"),
            ("rawOrLabelHeaders", "label"),
            ("exportCheckboxLabel", "true"),
            ("exportSurveyFields", "true"),
            ("exportDataAccessGroups", "true"),
            ("filterLogic", "[age] > 30"),
            ("dateRangeBegin", "2024-01-02 03:04:05"),
            ("dateRangeEnd", "2024-02-01 00:00:00"),
            ("csvDelimiter", "tab"),
            ("decimalCharacter", "."),
            ("exportBlankForGrayFormStatus", "true"),
            ("combineCheckboxOptions", "true"),
            ("records[0]", "1"),
            ("records[1]", "a b"),
        ]
    ]
    assert frame.to_dict("list") == {"record_id": ["1"], "name": ["x"]}


def test_a_plain_record_export_asks_for_nothing_special(client: RedcapClient, server: Any) -> None:
    server.answers(server.http('[{"record_id":"01","redcap_repeat_instance":1}]'))

    assert client.export_records() == [{"record_id": "01", "redcap_repeat_instance": 1}]
    assert server.requests == [
        [
            ("token", TOKEN),
            ("content", "record"),
            ("format", "json"),
            ("returnFormat", "json"),
            ("type", "flat"),
            ("rawOrLabel", "raw"),
            ("rawOrLabelHeaders", "raw"),
            ("csvDelimiter", ","),
        ]
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"records": []}, "`records` is an empty list"),
        ({"fields": "record_id"}, "`fields` takes a list"),
        ({"raw_or_label": "both"}, "`raw_or_label` must be one of 'raw', 'label'"),
        ({"record_type": "wide"}, "`record_type` must be one of 'flat', 'eav'"),
        ({"csv_delimiter": "::"}, "`csv_delimiter` must be one of"),
        ({"decimal_character": ";"}, "`decimal_character` must be one of"),
        (
            {"date_range_begin": datetime(2024, 1, 1, tzinfo=timezone.utc)},
            "`dateRangeBegin` has a time zone",
        ),
    ],
)
def test_an_option_redcap_would_misread_is_refused_before_anything_is_sent(
    options: dict[str, Any], sentence: str, client: RedcapClient, server: Any
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        client.export_records(**options)
    assert server.requests == []


def test_the_text_views_return_what_redcap_sent(client: RedcapClient, server: Any) -> None:
    csv, xml = "record_id\n1\n", "<records>\n<item/>\n</records>\n"
    server.answers(server.http(csv), server.http('[{"a":1}]'), server.http(xml))

    assert client.csv.export_records() == csv
    assert client.json.export_records() == '[{"a":1}]'
    assert client.xml.export_records() == xml
    assert [dict(request)["format"] for request in server.requests] == ["csv", "json", "xml"]


def test_version_project_and_next_name_are_single_values(client: RedcapClient, server: Any) -> None:
    info = {"project_id": 7, "project_title": "A study", "is_longitudinal": 0}
    server.answers(server.http("14.7.3"), server.http(json.dumps(info)), server.http("223-3\n"))

    assert client.export_version() == "14.7.3"
    assert client.export_project_info() == info
    assert client.generate_next_record_name() == "223-3"
    assert [dict(request)["content"] for request in server.requests] == [
        "version",
        "project",
        "generateNextRecordName",
    ]


def test_project_info_comes_as_a_frame_or_text_too(client: RedcapClient, server: Any) -> None:
    csv = 'project_id,project_title\n7,"A study"\n'
    server.answers(server.http(csv))

    frame = client.frames.export_project_info()
    assert frame.to_dict("list") == {"project_id": ["7"], "project_title": ["A study"]}
    assert client.csv.export_project_info() == csv


ABSENT: list[tuple[Callable[[Any], Any], str, list[str]]] = [
    (
        lambda redcap: redcap.export_arms(),
        "You cannot export arms for classic projects",
        ["arm_num", "name"],
    ),
    (
        lambda redcap: redcap.export_events(),
        "You cannot export events for classic projects",
        ["event_name", "arm_num", "unique_event_name", "custom_event_label", "event_id"],
    ),
    (
        lambda redcap: redcap.export_form_event_mappings(),
        "You cannot export form/event mappings for classic projects",
        ["arm_num", "unique_event_name", "form"],
    ),
    (
        lambda redcap: redcap.export_repeating_instruments_events(),
        (
            "You cannot export repeating instruments and events because the project does not "
            "contain any repeating instruments and events"
        ),
        ["event_name", "form_name", "custom_form_label"],
    ),
]


@pytest.mark.parametrize(("method", "message", "columns"), ABSENT)
def test_what_a_project_cannot_have_it_has_none_of(
    method: Callable[[Any], Any],
    message: str,
    columns: list[str],
    client: RedcapClient,
    server: Any,
) -> None:
    escaped = message.replace("/", "\\/")
    server.answers(server.http(f'{{"error":"{escaped}"}}', 400))

    assert method(client) == []
    frame = method(client.frames)
    assert (list(frame.columns), len(frame)) == (columns, 0)
    assert method(client.csv) == ",".join(columns) + "\n"
    assert json.loads(method(client.json)) == []


def test_another_refusal_is_not_taken_for_none(client: RedcapClient, server: Any) -> None:
    server.answers(server.http('{"error":"You cannot export arms"}', 400))

    with pytest.raises(RequestRejectedError, match="You cannot export arms"):
        client.export_arms()


def test_a_list_without_rows_has_its_columns(client: RedcapClient, server: Any) -> None:
    server.answers(server.http("\n"))

    frame = client.frames.export_data_access_groups()

    assert list(frame.columns) == [
        "data_access_group_name",
        "unique_group_name",
        "data_access_group_id",
    ]
    assert len(frame) == 0


def test_headers_alone_are_no_rows_and_repeated_headers_stay(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("Complete?,Complete?\n"), server.http('"A\nB",A\n1,2\n'))

    empty = client.frames.export_records(raw_or_label_headers="label")
    assert (list(empty.columns), len(empty)) == (["Complete?", "Complete?"], 0)
    full = client.frames.export_records(raw_or_label_headers="label")
    assert (list(full.columns), full.iloc[0].tolist()) == (["A\nB", "A"], ["1", "2"])


def test_a_frame_of_one_column_keeps_its_blank_rows(client: RedcapClient, server: Any) -> None:
    server.answers(server.http("name\nx\n\ny\n"))

    assert client.frames.export_records(fields=["name"])["name"].tolist() == ["x", "", "y"]


def test_bytes_that_are_no_utf8_are_replaced_and_counted(
    client: RedcapClient, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(server.http(b"record_id,name\n1,caf\xe9 \xff\n"))

    with caplog.at_level(logging.WARNING):
        frame = client.frames.export_records()

    assert frame["name"].tolist() == ["caf\ufffd \ufffd"]
    assert [record.getMessage() for record in caplog.records] == [
        "REDCap record: bytes that are no UTF-8 were replaced by U+FFFD in 1 cells: name 1."
    ]


def test_one_client_serves_many_threads(make_client: Any, server: Any) -> None:
    client = make_client()
    server.answers(server.http("record_id\n1\n"))

    with ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(lambda _: client.export_records_csv(), range(40)))

    assert bodies == [b"record_id\n1\n"] * 40
    assert client.stats == RequestStats(
        requests=40, retries=0, failures=0, bytes_received=480, waited_s=0.0
    )


def test_a_limited_client_has_no_more_requests_under_way(make_client: Any, server: Any) -> None:
    client = make_client().with_concurrency(2)
    server.answers(server.http("record_id\n1\n"))
    server.pause_s = 0.02

    with ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(lambda _: client.export_records_csv(), range(20)))

    assert bodies == [b"record_id\n1\n"] * 20
    assert server.most_at_once == 2
    assert client.stats.requests == 20


def test_a_limited_client_is_the_same_client(make_client: Any, server: Any) -> None:
    client = make_client()
    server.answers(server.http("record_id\n1\n"))
    client.with_concurrency(3).export_records_csv()

    assert client.stats.requests == 1
    assert client.with_concurrency(3).api_url == client.api_url
    narrow = client.with_concurrency(1)
    assert narrow.with_concurrency(3)._sender is narrow._sender
    with pytest.raises(ConfigError, match="concurrency must be at least 1"):
        client.with_concurrency(0)


def test_a_client_shows_its_address_and_nothing_else(make_client: Any, server: Any) -> None:
    with make_client() as client:
        assert repr(client) == str(client) == f"RedcapClient('{server.url}')"
        assert TOKEN not in repr(vars(client))
        assert TOKEN not in repr(client._sender)


def test_a_client_does_not_pickle_or_copy(client: RedcapClient) -> None:
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(client)
    with pytest.raises(TypeError, match="does not pickle"):
        copy.deepcopy(client)
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(client._sender.api_token)


def test_a_super_token_asks_for_the_version_only(make_client: Any, server: Any) -> None:
    server.answers(server.http("16.1.4"))
    client = make_client(api_token="A" * 64)

    assert client.export_version() == "16.1.4"
    with pytest.raises(ConfigError, match="REDCap user needs the API token of a project"):
        client.export_users()
    assert len(server.requests) == 1
