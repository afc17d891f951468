"""`filterLogic`: rows on which it is true, in every kind of project."""

from typing import Any

import pytest

from redcap_dagster.emulator import RedcapEmulator

NUMBER = {"text_validation_type_or_show_slider_number": "integer"}
FIELDS = [
    {"field_name": "id", "form_name": "intake"},
    {"field_name": "age", "form_name": "intake", **NUMBER},
    {
        "field_name": "race",
        "form_name": "intake",
        "field_type": "checkbox",
        "select_choices_or_calculations": "1, A | -2, B",
    },
    {"field_name": "dose", "form_name": "visit", **NUMBER},
    {"field_name": "pain", "form_name": "diary", **NUMBER},
]
EVENTS = [
    (1, "Start", "start_arm_1", ["intake", "diary"]),
    (1, "Visit", "visit_arm_1", ["visit"]),
]
REPEATS = [("start_arm_1", "diary", "")]
HEADER = ("id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
ROWS = [
    {**dict(zip(HEADER, place, strict=True)), **values}
    for place, values in (
        (("1", "start_arm_1", "", ""), {"age": "30", "race____2": "1"}),
        (("1", "start_arm_1", "diary", "1"), {"pain": "3"}),
        (("1", "start_arm_1", "diary", "2"), {"pain": "9"}),
        (("1", "visit_arm_1", "", ""), {"dose": "20"}),
        (("2", "start_arm_1", "", ""), {"age": "9"}),
        (("2", "visit_arm_1", "", ""), {"dose": "40"}),
        (("10", "start_arm_1", "", ""), {}),
    )
]


@pytest.fixture(scope="module")
def token(redcap: RedcapEmulator, project_xml: Any) -> str:
    xml = project_xml(FIELDS, ROWS, events=EVENTS, repeats=REPEATS, arms={1: "Drug"})
    return redcap.add_project(xml)


@pytest.mark.parametrize(
    ("logic", "kept"),
    [
        ("[age] > 10", ["1,start_arm_1,,", "1,start_arm_1,diary,1", "1,start_arm_1,diary,2"]),
        ("[race(-2)]='1'", ["1,start_arm_1,,", "1,start_arm_1,diary,1", "1,start_arm_1,diary,2"]),
        ("[pain] >= 5", ["1,start_arm_1,diary,2"]),
        ("[dose] = 40", ["2,visit_arm_1,,"]),
        ("[start_arm_1][age] < 10", ["2,start_arm_1,,", "2,visit_arm_1,,"]),
        ("[id] = '1' and [event-name] = 'visit_arm_1'", ["1,visit_arm_1,,"]),
        ("[age] > 1000", []),
    ],
)
def test_rows_on_which_logic_is_true_come_back(
    token: str, ask: Any, logic: str, kept: list[str]
) -> None:
    asked = {f"fields[{place}]": name for place, name in enumerate(("id", "pain"))}
    rows = ask(token, "record", filterLogic=logic, **asked).text.splitlines()[1:]
    assert [row.rpartition(",")[0] for row in rows] == kept


def test_events_narrow_what_comes_back_and_not_what_logic_reads(token: str, ask: Any) -> None:
    asked = {"events[0]": "visit_arm_1", "fields[0]": "id", "fields[1]": "dose"}
    got = ask(token, "record", filterLogic="[start_arm_1][age] > 10", **asked).text.splitlines()
    assert got[1:] == ["1,visit_arm_1,,,20"]


def test_one_line_for_each_value_is_filtered_too(token: str, ask: Any) -> None:
    asked = {"type": "eav", "fields[0]": "dose", "filterLogic": "[dose] = 40"}
    got = ask(token, "record", **asked).text.splitlines()[1:]
    assert got == ["2,visit_arm_1,,,dose,40"]


@pytest.mark.parametrize(
    ("logic", "named"),
    [("[nose] = 1", "nose"), ("[age] = ", "="), ("[age] == 3", "=="), ("fly([age])", "fly")],
)
def test_logic_that_cannot_be_read_is_refused(token: str, ask: Any, logic: str, named: str) -> None:
    refused = ask(token, "record", filterLogic=logic)
    assert refused.status_code == 400
    assert refused.text.startswith('ERROR: The value of the parameter "filterLogic" is not valid')
    assert named in refused.text
