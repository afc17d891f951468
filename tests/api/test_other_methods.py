"""Methods of one request each: what they send and what they hand over."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import AnswerError, ConfigError


def test_a_record_is_renamed_randomized_and_a_group_is_switched(
    client: RedcapClient, server: Any
) -> None:
    row = {"randomization_id": 5, "record": "2", "target_field": "1", "target_field_alt": "*"}
    server.answers(
        server.http("1"), server.http("1"), server.http("14.7.0"), server.http(json.dumps([row]))
    )

    assert client.rename_record("1", "2", arm=1) is True
    assert client.switch_data_access_group("north") is True
    assert client.randomize_record("2", 5, return_alternative=True) == row
    assert server.requests[0][3:] == [
        ("action", "rename"),
        ("record", "1"),
        ("new_record_name", "2"),
        ("arm", "1"),
    ]
    assert server.requests[1][3:] == [("action", "switch"), ("dag", "north")]
    assert server.requests[3][4:] == [
        ("action", "randomize"),
        ("record", "2"),
        ("randomization_id", "5"),
        ("returnAlt", "true"),
    ]


@pytest.mark.parametrize(
    ("method", "content", "parameters"),
    [
        (
            lambda r: r.export_survey_link("1", "visit", "e_arm_1", 2),
            "surveyLink",
            [
                ("record", "1"),
                ("instrument", "visit"),
                ("event", "e_arm_1"),
                ("repeat_instance", "2"),
            ],
        ),
        (lambda r: r.export_survey_queue_link("1"), "surveyQueueLink", [("record", "1")]),
        (
            lambda r: r.export_survey_return_code("1", "visit"),
            "surveyReturnCode",
            [("record", "1"), ("instrument", "visit"), ("repeat_instance", "1")],
        ),
        (
            lambda r: r.export_survey_access_code("1", "visit"),
            "surveyAccessCode",
            [("record", "1"), ("instrument", "visit"), ("repeat_instance", "1")],
        ),
    ],
)
def test_a_survey_link_or_code_is_one_word(
    method: Callable[[Any], Any],
    content: str,
    parameters: list[tuple[str, str]],
    client: RedcapClient,
    server: Any,
) -> None:
    server.answers(server.http("https://h/surveys/?s=AB"), server.http("two words"))

    assert method(client) == "https://h/surveys/?s=AB"
    assert server.requests[0][1] == ("content", content)
    assert server.requests[0][3:] == parameters
    with pytest.raises(AnswerError, match="not one link or code"):
        method(client)


def test_the_other_lists_send_their_parameters(client: RedcapClient, server: Any) -> None:
    server.answers(server.http('[{"a":1}]'))

    client.export_logging(
        log_type="record_delete",
        user="u",
        record="1",
        data_access_group="g",
        begin_time=dt.datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001 - the server's local time
        end_time="2024-01-03 00:00",
    )
    client.export_survey_participants("visit", "e_arm_1")
    client.export_report(
        42, raw_or_label="label", export_checkbox_label=True, decimal_character=","
    )

    assert [request[1:2] + request[4:] for request in server.requests] == [
        [
            ("content", "log"),
            ("logtype", "record_delete"),
            ("user", "u"),
            ("record", "1"),
            ("dag", "g"),
            ("beginTime", "2024-01-02 03:04"),
            ("endTime", "2024-01-03 00:00"),
        ],
        [("content", "participantList"), ("instrument", "visit"), ("event", "e_arm_1")],
        [
            ("content", "report"),
            ("report_id", "42"),
            ("rawOrLabel", "label"),
            ("rawOrLabelHeaders", "raw"),
            ("exportCheckboxLabel", "true"),
            ("decimalCharacter", ","),
        ],
    ]


def test_a_project_is_made_with_a_super_token(make_client: Any, server: Any) -> None:
    new = "AB" * 16
    server.answers(server.http(f"select 1\n{new}"), server.http("no token"))
    client = make_client(api_token="S" * 64)

    assert client.create_project({"project_title": "T", "purpose": 0}, odm="<ODM/>") == new
    assert server.requests[0][1:] == [
        ("content", "project"),
        ("format", "json"),
        ("returnFormat", "json"),
        ("odm", "<ODM/>"),
        ("data", '[{"project_title": "T", "purpose": 0}]'),
    ]
    with pytest.raises(AnswerError, match="not the token of a new project"):
        client.create_project({"project_title": "T", "purpose": 0})
    with pytest.raises(ConfigError, match="need purpose"):
        client.create_project({"project_title": "T"})


def test_an_external_module_answers_as_it_likes(client: RedcapClient, server: Any) -> None:
    server.answers(server.http("16.1.4"), server.http('{"a": 1}'))

    assert client.call_external_module("prefix", "__info", {"x": "y"}) == '{"a": 1}'
    assert server.requests[1][1:] == [
        ("content", "externalModule"),
        ("format", "json"),
        ("returnFormat", "json"),
        ("prefix", "prefix"),
        ("action", "__info"),
        ("x", "y"),
    ]


def test_attributes_show_a_study_at_a_glance(client: RedcapClient, server: Any) -> None:
    server.answers(
        server.http(
            '[{"field_name":"id","form_name":"visit","field_label":"Id","field_type":"text"}]'
        ),
        server.http('[{"instrument_name":"visit","instrument_label":"V"}]'),
        server.http('[{"unique_event_name":"e_arm_1"}]'),
        server.http('[{"arm_num":1,"name":"A"}]'),
    )

    attributes = client.read_attributes()

    assert attributes.first_field == "id"
    assert attributes.forms == ("visit",)
    assert attributes.events == ("e_arm_1",)
    assert attributes.arms == {1: "A"}
    assert attributes.field_names == ("id",)
    assert attributes.field_labels == ("Id",)
    assert attributes.field_types == {"id": "text"}
    assert attributes.is_longitudinal
