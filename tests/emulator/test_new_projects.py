"""Projects created with a super token, and settings that are changed."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import requests

from redcap_dagster.emulator import RedcapEmulator

SUPER_TOKEN = "5" * 64
FIELDS = [
    {"field_name": "record_id", "form_name": "intake", "field_label": "Record ID"},
    {"field_name": "age", "form_name": "intake"},
]
ATTRIBUTES = {"project_title": "A new one", "purpose": 0, "project_notes": "of notes"}


@pytest.fixture(scope="module")
def redcap() -> Iterator[RedcapEmulator]:
    """An emulator with a super token, whose clock stands still."""

    def clock() -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - a server's local time

    with RedcapEmulator(super_token=SUPER_TOKEN, clock=clock) as emulator:
        yield emulator


def created(answer: requests.Response) -> str:
    assert (answer.status_code, len(answer.text)) == (200, 32)
    return answer.text


@pytest.mark.parametrize(
    ("body_format", "data"),
    [
        ("json", json.dumps([ATTRIBUTES])),
        ("json", json.dumps(ATTRIBUTES)),
        ("csv", 'project_title,purpose,project_notes\n"A new one",0,"of notes"\n'),
        (
            "xml",
            (
                '<?xml version="1.0" encoding="UTF-8" ?><item><project_title>A new one'
                "</project_title><purpose>0</purpose><project_notes>of notes</project_notes></item>"
            ),
        ),
    ],
)
def test_a_project_is_created_from_attributes(ask: Any, body_format: str, data: str) -> None:
    token = created(ask(SUPER_TOKEN, "project", format=body_format, data=data))
    info = ask(token, "project", format="json").json()
    shown = ("project_title", "purpose", "project_notes", "creation_time", "is_longitudinal")
    assert [info[name] for name in shown] == ["A new one", 0, "of notes", "2026-01-02 03:04:05", 0]
    assert ask(token, "exportFieldNames").text == (
        "original_field_name,choice_value,export_field_name\nrecord_id,,record_id\n"
        "form_1_complete,,form_1_complete\n"
    )
    assert ask(token, "record", format="json", data='[{"record_id":"1"}]').status_code == 200


def test_a_longitudinal_project_begins_with_one_event(ask: Any) -> None:
    data = json.dumps([{**ATTRIBUTES, "is_longitudinal": 1}])
    token = created(ask(SUPER_TOKEN, "project", format="json", data=data))
    assert ask(token, "formEventMapping").text == (
        "arm_num,unique_event_name,form\n1,event_1_arm_1,form_1\n"
    )


def test_a_project_is_created_from_xml_as_often_as_one_likes(ask: Any, project_xml: Any) -> None:
    xml = project_xml(FIELDS, [{"record_id": "1", "age": "40"}], title="Of the file")
    sent = {"format": "json", "data": json.dumps([ATTRIBUTES]), "odm": xml}
    first, second = (created(ask(SUPER_TOKEN, "project", **sent)) for _ in range(2))
    assert first != second
    assert ask(second, "record").text == "record_id,age,intake_complete\n1,40,0\n"
    assert ask(second, "project", format="json").json()["project_title"] == "A new one"


@pytest.mark.parametrize(
    ("attributes", "odm", "message"),
    [
        ({"purpose": 0}, "", "You must provide some text for 'project_title'."),
        (
            {"project_title": "x", "purpose": 1},
            "",
            (
                "You must provide some text for 'purpose_other' since you specified 'purpose' "
                "as '1' (Other)."
            ),
        ),
        (
            {"project_title": "x", "purpose": 7},
            "",
            "The value of 'purpose' must be a number from 0 to 4",
        ),
        (
            ATTRIBUTES,
            "/etc/passwd",
            "The XML is not a REDCap project XML: not well-formed (invalid token) at line 1.",
        ),
        (
            ATTRIBUTES,
            '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><ODM>&e;</ODM>',
            (
                "The XML declares a document type or entities, which no REDCap writes and which "
                "can reach other files: it was not loaded."
            ),
        ),
    ],
)
def test_a_project_that_cannot_be_made_is_refused(
    ask: Any, redcap: RedcapEmulator, attributes: dict[str, Any], odm: str, message: str
) -> None:
    before = len(redcap.store.users())
    sent = {"format": "json", "returnFormat": "csv", "data": json.dumps([attributes]), "odm": odm}
    answer = ask(SUPER_TOKEN, "project", **sent)
    assert (answer.status_code, answer.text) == (400, f"ERROR: {message}")
    assert len(redcap.store.users()) == before


def test_only_the_super_token_creates_projects(
    ask: Any, redcap: RedcapEmulator, project_xml: Any
) -> None:
    token = redcap.add_project(project_xml(FIELDS))
    statuses = [
        ask(token, "project", format="json", data=json.dumps([ATTRIBUTES])).status_code,
        ask(SUPER_TOKEN, "record").status_code,
        ask("6" * 64, "project", format="json", data=json.dumps([ATTRIBUTES])).status_code,
    ]
    assert statuses == [403, 403, 403]


@pytest.fixture
def token(redcap: RedcapEmulator, project_xml: Any) -> str:
    return redcap.add_project(project_xml(FIELDS, [{"record_id": "1", "age": "40"}]))


def settings(ask: Any, token: str, **values: Any) -> tuple[int, str]:
    sent = {"format": "json", "returnFormat": "csv", "data": json.dumps([values])}
    answer = ask(token, "project_settings", **sent)
    return answer.status_code, answer.text


def test_settings_are_changed_and_what_is_none_is_passed_over(token: str, ask: Any) -> None:
    values = {"project_title": "B", "surveys_enabled": 1, "project_pi_email": "p@i.org"}
    assert settings(ask, token, **values, project_id=7, nonsense="x") == (200, "3")
    info = ask(token, "project", format="json").json()
    assert {name: info[name] for name in values} == values


def test_every_setting_a_project_shows_can_be_sent_back(token: str, ask: Any) -> None:
    info = ask(token, "project", format="json").json()
    assert settings(ask, token, **info) == (200, "19")
    assert ask(token, "project", format="json").json() == info


def test_a_project_becomes_longitudinal_with_its_data_and_classic_again(
    token: str, ask: Any
) -> None:
    before = ask(token, "record").text
    assert settings(ask, token, is_longitudinal=1) == (200, "1")
    assert ask(token, "record").text == (
        "record_id,redcap_event_name,age,intake_complete\n1,event_1_arm_1,40,0\n"
    )
    assert settings(ask, token, is_longitudinal=0) == (200, "1")
    assert ask(token, "record").text == before


def test_a_project_with_several_events_does_not_become_classic(token: str, ask: Any) -> None:
    settings(ask, token, is_longitudinal=1)
    event = json.dumps([{"event_name": "Two", "arm_num": 1}])
    assert ask(token, "event", action="import", format="json", data=event).text == "1"
    assert settings(ask, token, is_longitudinal=0) == (
        400,
        (
            "ERROR: The REDCap emulator does not make a project with several events classic: "
            "delete events first."
        ),
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"project_title": ""}, "You must provide some text for 'project_title'."),
        ({"surveys_enabled": "yes"}, "The value of 'surveys_enabled' must be 0 or 1"),
        ({"purpose": "x"}, "The value of 'purpose' must be a number from 0 to 4"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(
    token: str, ask: Any, values: dict[str, str], message: str
) -> None:
    assert settings(ask, token, **values) == (400, f"ERROR: {message}")
