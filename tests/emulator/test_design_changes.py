"""Arms, events, mappings, what repeats, and the data dictionary: import and delete."""

import json
from typing import Any

import pytest

from redcap_dagster.emulator import RedcapEmulator

FIELDS = [
    {"field_name": "record_id", "form_name": "intake", "field_label": "Record ID"},
    {"field_name": "age", "form_name": "intake", "field_label": "Age"},
    {"field_name": "weight", "form_name": "visit", "field_label": "Weight"},
    {
        "field_name": "mood",
        "form_name": "visit",
        "field_type": "checkbox",
        "select_choices_or_calculations": "1, Good | 2, Bad",
    },
]
EVENTS = [
    (1, "Start", "start_arm_1", ["intake"]),
    (1, "Visit", "visit_arm_1", ["visit"]),
    (2, "Start", "start_arm_2", ["intake", "visit"]),
]
ROWS = [
    {"record_id": "1", "redcap_event_name": "start_arm_1", "age": "40", "intake_complete": "2"},
    {"record_id": "1", "redcap_event_name": "visit_arm_1", "weight": "70", "visit_complete": "1"},
    {"record_id": "2", "redcap_event_name": "start_arm_2", "age": "50", "weight": "80"},
]
CLASSIC_ROWS = [
    {
        "record_id": "1",
        "age": "40",
        "intake_complete": "2",
        "weight": "70",
        "mood___2": "1",
        "visit_complete": "1",
    },
    {"record_id": "2", "age": "50", "intake_complete": "0"},
]


@pytest.fixture
def longitudinal(redcap: RedcapEmulator, project_xml: Any) -> str:
    return redcap.add_project(project_xml(FIELDS, ROWS, events=EVENTS))


@pytest.fixture
def classic(redcap: RedcapEmulator, project_xml: Any) -> str:
    return redcap.add_project(project_xml(FIELDS, CLASSIC_ROWS))


def test_arms_are_added_and_renamed(longitudinal: str, ask: Any, change: Any) -> None:
    rows = [{"arm_num": 1, "name": "Placebo"}, {"arm_num": 3, "name": "Third"}]
    assert change(longitudinal, "arm", rows, action="import") == (200, "2")
    # An arm without events is not returned (PyCap's live tests).
    assert ask(longitudinal, "arm").text == 'arm_num,name\n1,Placebo\n2,"Arm 2"\n'
    event = [{"event_name": "First day", "arm_num": "3"}]
    assert change(longitudinal, "event", event, action="import") == (200, "1")
    assert ask(longitudinal, "arm").text.endswith("3,Third\n")
    assert (
        ask(longitudinal, "event", arms="3")
        .text.splitlines()[1]
        .startswith('"First day",3,first_day_arm_3,,')
    )


def test_arms_that_override_take_events_mappings_and_data_along(
    longitudinal: str, ask: Any, change: Any
) -> None:
    rows = [{"arm_num": 5, "name": "Only"}]
    assert change(longitudinal, "arm", rows, action="import", override=1) == (200, "1")
    assert ask(longitudinal, "event", format="json").json() == []
    assert ask(longitudinal, "record", format="json").json() == []
    assert ask(longitudinal, "project", format="json").json()["is_longitudinal"] == 1


def test_deleting_an_arm_deletes_its_events_and_their_data(longitudinal: str, ask: Any) -> None:
    answer = ask(longitudinal, "arm", action="delete", **{"arms[0]": "2"})
    assert (answer.status_code, answer.text) == (200, "1")
    assert ask(longitudinal, "record", fields="record_id").text == (
        "record_id,redcap_event_name\n1,start_arm_1\n1,visit_arm_1\n"
    )


def test_renaming_an_event_renames_it_where_its_data_is(
    longitudinal: str, ask: Any, change: Any
) -> None:
    row = {"event_name": "Baseline", "arm_num": "1", "unique_event_name": "start_arm_1"}
    assert change(longitudinal, "event", [row], action="import") == (200, "1")
    answer = ask(longitudinal, "record", fields="record_id,age", events="baseline_arm_1")
    assert answer.text == "record_id,redcap_event_name,age\n1,baseline_arm_1,40\n"


def test_events_of_one_name_are_told_apart_by_a_letter(
    longitudinal: str, ask: Any, change: Any
) -> None:
    rows = [{"event_name": "Week 12 -- telephone call", "arm_num": "1"}] * 2
    assert change(longitudinal, "event", rows, action="import") == (200, "2")
    names = [
        event["unique_event_name"] for event in ask(longitudinal, "event", format="json").json()
    ]
    assert names == [
        "start_arm_1",
        "visit_arm_1",
        "week_12__telephone_arm_1",
        "week_12__telephone_arm_1b",
        "start_arm_2",
    ]


def test_deleting_an_event_deletes_its_data(longitudinal: str, ask: Any) -> None:
    answer = ask(longitudinal, "event", action="delete", **{"events[0]": "visit_arm_1"})
    assert (answer.status_code, answer.text) == (200, "1")
    assert ask(longitudinal, "record", fields="record_id").text == (
        "record_id,redcap_event_name\n1,start_arm_1\n2,start_arm_2\n"
    )


def test_a_mapping_replaces_the_one_before(longitudinal: str, ask: Any, change: Any) -> None:
    rows = [
        {"arm_num": 1, "unique_event_name": "start_arm_1", "form": "visit"},
        {"arm_num": 1, "unique_event_name": "start_arm_1", "form": "intake"},
    ]
    assert change(longitudinal, "formEventMapping", rows, action="import") == (200, "2")
    assert ask(longitudinal, "formEventMapping").text == (
        "arm_num,unique_event_name,form\n1,start_arm_1,intake\n1,start_arm_1,visit\n"
    )


def test_data_becomes_the_first_instance_of_what_begins_to_repeat_and_comes_back(
    classic: str, ask: Any, change: Any
) -> None:
    before = ask(classic, "record").text
    rows = [{"form_name": "visit", "custom_form_label": "[weight]"}]
    assert change(classic, "repeatingFormsEvents", rows) == (200, "1")
    assert ask(classic, "repeatingFormsEvents").text == (
        "form_name,custom_form_label\nvisit,[weight]\n"
    )
    assert ask(classic, "record").text == (
        "record_id,redcap_repeat_instrument,redcap_repeat_instance,age,intake_complete,weight,"
        "mood___1,mood___2,visit_complete\n1,,,40,2,,,,\n1,visit,1,,,70,0,1,1\n2,,,50,0,,,,\n"
    )
    assert change(classic, "repeatingFormsEvents", []) == (200, "0")
    assert ask(classic, "record").text == before


def test_other_instances_are_hidden_while_an_event_does_not_repeat(
    longitudinal: str, ask: Any, change: Any
) -> None:
    repeats = [{"event_name": "visit_arm_1", "form_name": "", "custom_form_label": ""}]
    assert change(longitudinal, "repeatingFormsEvents", repeats) == (200, "1")
    second = {
        "record_id": "1",
        "redcap_event_name": "visit_arm_1",
        "redcap_repeat_instance": "2",
        "weight": "71",
    }
    ask(longitudinal, "record", format="json", data=json.dumps([second]))
    asked = {"fields": "weight,record_id", "events": "visit_arm_1"}
    header = "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,weight\n"
    both = f"{header}1,visit_arm_1,,1,70\n1,visit_arm_1,,2,71\n"
    assert ask(longitudinal, "record", **asked).text == both
    change(longitudinal, "repeatingFormsEvents", [])
    assert ask(longitudinal, "record", **asked).text == (
        "record_id,redcap_event_name,weight\n1,visit_arm_1,70\n"
    )
    change(longitudinal, "repeatingFormsEvents", repeats)
    assert ask(longitudinal, "record", **asked).text == both


def test_fields_left_out_of_the_dictionary_are_deleted_and_their_data_comes_back(
    classic: str, ask: Any, change: Any
) -> None:
    dictionary = ask(classic, "metadata", format="json").json()
    before = ask(classic, "record").text
    assert change(classic, "metadata", dictionary[:2]) == (200, "2")
    assert ask(classic, "instrument").text == "instrument_name,instrument_label\nintake,Intake\n"
    assert ask(classic, "record").text == "record_id,age,intake_complete\n1,40,2\n2,50,0\n"
    assert change(classic, "metadata", dictionary) == (200, "4")
    assert ask(classic, "metadata", format="json").json() == dictionary
    assert ask(classic, "record").text == before


@pytest.mark.parametrize("body_format", ["csv", "json", "xml"])
def test_a_dictionary_comes_back_as_it_was_sent(classic: str, ask: Any, body_format: str) -> None:
    sent = ask(classic, "metadata", format=body_format).text
    answer = ask(classic, "metadata", format=body_format, data=sent)
    assert (answer.status_code, answer.text) == (200, "4")
    assert ask(classic, "metadata", format=body_format).text == sent


def test_a_new_instrument_is_called_by_its_name(classic: str, ask: Any, change: Any) -> None:
    dictionary = ask(classic, "metadata", format="json").json()
    field = {"field_name": "dose", "form_name": "follow_up", "field_type": "text"}
    assert change(classic, "metadata", [*dictionary, field]) == (200, "5")
    assert ask(classic, "instrument").text.endswith('follow_up,"Follow Up"\n')
    assert ask(classic, "record", forms="follow_up").text == "\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"field_name": "1x"}, "The field name '1x' is not valid"),
        ({"field_name": "a__b"}, "The field name 'a__b' is not valid"),
        ({"field_name": "visit_complete"}, "The field name 'visit_complete' is not valid"),
        ({"field_name": "age"}, "The field name 'age' is there twice"),
        ({"field_type": "blob"}, "The field 'new' has the unknown field type 'blob'"),
        ({"field_type": "radio"}, "The field 'new' has no choices"),
        (
            {"field_type": "radio", "select_choices_or_calculations": "1, A | 1, B"},
            "The field 'new' has one choice code twice",
        ),
        (
            {"form_name": "intake"},
            "The fields of the instrument 'intake' do not stand together",
        ),
        ({"form_name": ""}, "The following required values are missing: 'form_name'"),
    ],
)
def test_a_dictionary_with_a_mistake_changes_nothing(
    classic: str, ask: Any, change: Any, row: dict[str, str], message: str
) -> None:
    dictionary = ask(classic, "metadata", format="json").json()
    field = {"field_name": "new", "form_name": "visit", "field_type": "text", **row}
    assert change(classic, "metadata", [*dictionary, field]) == (400, f"ERROR: {message}")
    assert ask(classic, "metadata", format="json").json() == dictionary


@pytest.mark.parametrize(
    ("content", "parameters", "message"),
    [
        (
            "arm",
            {"data": '[{"arm_num": 1}]'},
            "The following required values are missing: 'name'",
        ),
        (
            "event",
            {"data": '[{"event_name": "X", "arm_num": "9"}]'},
            "The arm number 9 does not exist in this project",
        ),
        (
            "formEventMapping",
            {"data": '[{"arm_num": 1, "unique_event_name": "x", "form": "visit"}]'},
            "The unique event name 'x' does not exist in this project",
        ),
        (
            "repeatingFormsEvents",
            {"data": '[{"event_name": "start_arm_1", "form_name": "visit"}]'},
            "The instrument 'visit' is not designated for the event 'start_arm_1'",
        ),
        ("arm", {"data": "no json"}, "The data is not in the specified format."),
        ("arm", {"action": "delete", "arms": "7"}, 'The following values in the parameter "arms"'),
        ("event", {"action": "delete"}, 'The required parameter "events" is missing'),
    ],
)
def test_what_does_not_fit_is_refused(
    longitudinal: str, ask: Any, content: str, parameters: dict[str, str], message: str
) -> None:
    sent = {"format": "json", "returnFormat": "csv", "action": "import", **parameters}
    answer = ask(longitudinal, content, **sent)
    assert (answer.status_code, answer.text[: len(message) + 7]) == (400, f"ERROR: {message}")


def test_a_classic_project_has_no_arms_and_events_to_change(classic: str, change: Any) -> None:
    assert change(classic, "arm", [], action="import") == (
        400,
        "ERROR: You cannot import arms for classic projects",
    )


@pytest.mark.parametrize("content", ["arm", "event", "formEventMapping", "metadata"])
def test_in_production_the_design_stays(
    redcap: RedcapEmulator, project_xml: Any, change: Any, ask: Any, content: str
) -> None:
    token = redcap.add_project(
        project_xml(FIELDS, ROWS, events=EVENTS), production_time="2026-01-02 03:04:05"
    )
    status, message = change(token, content, [], action="import")
    assert status == 400
    assert message.endswith(" while the project is in production status")
    info = ask(token, "project", format="json").json()
    assert (info["in_production"], info["production_time"]) == (1, "2026-01-02 03:04:05")
