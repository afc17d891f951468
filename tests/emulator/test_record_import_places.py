"""Rows written into a longitudinal project: which event and instance they go to, and which not."""

from typing import Any

import pytest

from redcap_dagster.emulator import RedcapEmulator

FIELDS = [
    {"field_name": "id", "form_name": "intake"},
    {"field_name": "name", "form_name": "intake"},
    {"field_name": "dose", "form_name": "visit"},
    {"field_name": "pain", "form_name": "diary"},
]
EVENTS = [
    (1, "Start", "start_arm_1", ["intake", "diary"]),
    (1, "Visit", "visit_arm_1", ["visit"]),
]
REPEATS = [("start_arm_1", "diary", ""), ("visit_arm_1", "", "")]


@pytest.fixture
def visits(redcap: RedcapEmulator, project_xml: Any) -> str:
    """A longitudinal project without records, in which an event and an instrument repeat."""
    return redcap.add_project(project_xml(FIELDS, events=EVENTS, repeats=REPEATS, arms={1: "Drug"}))


def test_rows_go_where_event_and_instance_say(visits: str, ask: Any, send: Any) -> None:
    data = (
        "id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,name,dose,pain\n"
        "7,start_arm_1,,,Ann,,\n"
        "7,start_arm_1,diary,3,,,mild\n"
        "7,start_arm_1,diary,new,,,none\n"
        "7,visit_arm_1,,new,,20,\n"
        "7,visit_arm_1,,new,,40,\n"
        "8,,,,Bo,,\n"
    )
    assert send(visits, data) == (200, "2")
    assert ask(visits, "record").text.splitlines()[1:] == [
        "7,start_arm_1,,,Ann,0,,,,",
        "7,start_arm_1,diary,3,,,,,mild,0",
        "7,start_arm_1,diary,4,,,,,none,0",
        "7,visit_arm_1,,1,,,20,0,,",
        "7,visit_arm_1,,2,,,40,0,,",
        "8,start_arm_1,,,Bo,0,,,,",
    ]


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (
            "7,start_arm_1,,,,20,",
            "dose",
            "20",
            (
                "This field ('dose') exists on an instrument that is not designated for the event "
                "named 'Start (Arm 1: Drug)'. You are not allowed to import data for this field "
                "into this event."
            ),
        ),
        (
            "7,start_arm_1,visit,1,,,",
            "redcap_repeat_instrument",
            "visit",
            (
                "redcap_repeat_instrument must be the unique form name of a Repeating Instrument. "
                "It currently does not match the unique form name of any Repeating Instruments.  "
                "Please fix this in the data import file and try again."
            ),
        ),
        (
            "7,start_arm_1,,2,Ann,,",
            "redcap_repeat_instance",
            "2",
            (
                "redcap_repeat_instance cannot have a value since this instrument or event is not "
                "a repeating instrument or repeating event, respectively.  The "
                "redcap_repeat_instance field must be left blank for this row of data."
            ),
        ),
        (
            "7,start_arm_1,,,,,mild",
            "pain",
            "mild",
            (
                "This field ('pain') exists on a Repeating Instrument named 'diary'. However, the "
                "fields 'redcap_repeat_instance' and/or 'redcap_repeat_instrument' for this row of "
                "data have no value, which are both required for importing data into a Repeating "
                "Instrument.  You are not allowed to import data for this field into a "
                "non-repeating instrument."
            ),
        ),
        (
            "7,never_arm_1,,,Ann,,",
            "redcap_event_name",
            "never_arm_1",
            "This is not the unique name of an event of the project.",
        ),
    ],
)
def test_a_row_in_the_wrong_place_is_refused(
    visits: str, send: Any, row: str, column: str, value: str, message: str
) -> None:
    header = "id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,name,dose,pain"
    refused = send(visits, f"{header}\n{row}\n")
    assert refused == (400, f'ERROR: "7","{column}","{value}","{message}"')


def test_what_was_exported_can_be_imported(
    redcap: RedcapEmulator, visits: str, project_xml: Any, ask: Any, send: Any
) -> None:
    data = (
        "id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,name,pain\n"
        '7,start_arm_1,,,"Ann\n""A"" é, |",\n7,start_arm_1,diary,2,,mild\n'
    )
    send(visits, data)
    exported = ask(visits, "record").text
    copy = redcap.add_project(project_xml(FIELDS, events=EVENTS, repeats=REPEATS, arms={1: "Drug"}))
    assert send(copy, exported.encode().decode(), overwriteBehavior="overwrite") == (200, "1")
    assert ask(copy, "record").text == exported
