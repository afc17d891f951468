"""A look-alike of the ten-record project of REDCap's own validation suite, whose counts are known.

Two arms, four events, a form that repeats in the first event, an event that repeats as a whole,
one missing data code. Each point that the published counts settle (docs/quality.md) is here.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.project import RedcapProject

EVENTS = ("event_1_arm_1", "event_2_arm_1", "event_3_arm_1", "event_1_arm_2")
CUSTOM = """\
rules:
  - {name: radio is odd, logic: "[radio] = '9..9'"}
  - {name: names differ, logic: "[ptname] <> [name]"}
  - {name: integer is one, logic: "[integer] = '1'"}
"""
ORDINARY = [
    {
        "record_id": str(number),
        "redcap_event_name": EVENTS[0] if number <= 8 else EVENTS[3],
        "ptname": f"Name {number}" if number <= 8 else "",
        "email": {1: "HelloWorld", 2: "email@test.edu"}.get(number, ""),
        "data_types_complete": "",
    }
    for number in range(1, 11)
]
INSTANCES = [
    {
        "record_id": str(number),
        "redcap_event_name": EVENTS[0],
        "redcap_repeat_instrument": "data_types",
        "redcap_repeat_instance": "1",
        "name": f"Name {number}",
        "radio": {1: "9..9", 2: "1000", 3: ""}.get(number, "1"),
        "controlled": "kept" if number == 3 else "",
        "integer": "1000" if number == 7 else "1",
        "number": "1000" if number == 7 else "1.0",
        "number_1dp": "1000.0" if number == 7 else "1.0",
        "number_comma": "1000,5" if number == 7 else "1,0",
        "visit": "NI" if number >= 4 else "2024-01-01",
        "weight": "70",
        "total": "75",
        "box___1": "1",
        "box___2": "0",
        "box___ni": "0",
        "must": "done",
        "text_validation_complete": "",
    }
    for number in range(1, 8)
]
OCCURRENCES = [
    {
        "record_id": "1",
        "redcap_event_name": EVENTS[1],
        "redcap_repeat_instance": str(number),
        "total": "5",
        "text_validation_complete": "",
        "data_types_complete": "",
    }
    for number in (1, 2)
]


@pytest.fixture
def project(
    make_project: Callable[..., RedcapProject], make_field: Callable[..., dict[str, Any]]
) -> RedcapProject:
    def number(name: str, validation: str, maximum: str) -> dict[str, Any]:
        return make_field(name, form="data_types", validation=validation, maximum=maximum)

    mappings = [
        (EVENTS[0], "text_validation"),
        (EVENTS[0], "data_types"),
        (EVENTS[1], "data_types"),
        (EVENTS[2], "text_validation"),
        (EVENTS[3], "text_validation"),
    ]
    return make_project(
        make_field("record_id", form="text_validation"),
        make_field("ptname", form="text_validation"),
        make_field("email", form="text_validation", validation="email"),
        make_field("name", form="data_types"),
        make_field("radio", "radio", "data_types", choices="1, One | 9..9, Odd | 100, Hundred"),
        make_field("controlled", form="data_types", branching_logic="[radio] <> ''"),
        number("integer", "integer", "100"),
        number("number", "number", "100"),
        number("number_1dp", "number_1dp", "100.0"),
        number("number_comma", "number_1dp_comma_decimal", "100,0"),
        make_field("visit", form="data_types", validation="date_mdy"),
        make_field("weight", form="data_types", validation="number"),
        make_field("total", "calc", "data_types", choices="sum([weight], 5)"),
        make_field("box", "checkbox", "data_types", choices="1, One | 2, Two"),
        make_field("must", form="data_types", required_field="y"),
        info={"is_longitudinal": 1, "missing_data_codes": "NI, No information"},
        arms=[{"arm_num": 1, "name": "One"}, {"arm_num": 2, "name": "Two"}],
        events=[
            {"unique_event_name": name, "event_name": name, "arm_num": name[-1]} for name in EVENTS
        ],
        form_event_mappings=[
            {"arm_num": event[-1], "unique_event_name": event, "form": form}
            for event, form in mappings
        ],
        repeating_instruments_events=[
            {"event_name": EVENTS[0], "form_name": "data_types", "custom_form_label": ""},
            {"event_name": EVENTS[1], "form_name": "", "custom_form_label": ""},
        ],
    )


def test_the_known_counts_come_out(
    project: RedcapProject, judged: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(CUSTOM)
    judge, found = judged(
        project,
        [*ORDINARY, *INSTANCES, *OCCURRENCES],
        custom_rules=path,
        includes_unopened_forms=True,
    )
    assert Counter(row["rule"] for row in found) == {
        "missing_required_values": 2,
        "invalid_data_type": 1,
        "out_of_range": 4,
        "outliers": 2,
        "hidden_fields_with_values": 1,
        "invalid_choices": 1,
        "missing_data_codes": 4,
        "radio is odd": 1,
        "names differ": 8,
        "integer is one": 6,
    }
    places = {
        (row["rule"], row["field"])
        for row in found
        if row["instrument"] is not None and row["rule"] != "missing_data_codes"
    }
    assert places == {
        ("missing_required_values", "must"),
        ("invalid_data_type", "email"),
        ("out_of_range", "integer"),
        ("out_of_range", "number"),
        ("out_of_range", "number_1dp"),
        ("out_of_range", "number_comma"),
        ("outliers", "integer"),
        ("outliers", "number"),
        ("hidden_fields_with_values", "controlled"),
        ("invalid_choices", "radio"),
    }
    assert judge.outcome("incorrect_calculations", "data_types").findings == 0


def test_missing_values_are_those_of_each_row_once(
    project: RedcapProject, judged: Callable[..., Any]
) -> None:
    """REDCap's own count visits ordinary fields again on instance rows; ours does not."""
    rows = [*ORDINARY, *INSTANCES, *OCCURRENCES]
    judge, _ = judged(project, rows, includes_unopened_forms=True)
    ordinary = sum(not row[name] for row in ORDINARY for name in ("ptname", "email"))
    # Blank on an instance: `radio` of one row, and `controlled` where a radio shows it.
    instances = 1 + sum(bool(row["radio"]) and not row["controlled"] for row in INSTANCES)
    # Never opened: name, radio, four numbers, visit, weight, must; `controlled` is hidden.
    never_opened = [
        "name",
        "radio",
        "integer",
        "number",
        "number_1dp",
        "number_comma",
        "visit",
        "weight",
        "must",
    ]
    occurrences = len(OCCURRENCES) * len(never_opened)
    assert judge.outcome("missing_values", "text_validation").findings == ordinary
    assert judge.outcome("missing_values", "data_types").findings == instances + occurrences


def test_a_form_that_was_never_opened_misses_nothing_by_default(
    project: RedcapProject, judged: Callable[..., Any]
) -> None:
    judge, _ = judged(project, [*ORDINARY, *INSTANCES, *OCCURRENCES])
    assert judge.outcome("missing_required_values", "data_types").findings == 0


def test_a_finding_says_which_row_it_is_about(
    project: RedcapProject, judged: Callable[..., Any]
) -> None:
    _, found = judged(project, [*ORDINARY, *INSTANCES, *OCCURRENCES], includes_unopened_forms=True)
    keys = {
        tuple(
            row[name]
            for name in (
                "record_id",
                "redcap_event_name",
                "redcap_repeat_instrument",
                "redcap_repeat_instance",
            )
        )
        for row in found
        if row["rule"] in {"missing_required_values", "outliers", "invalid_data_type"}
    }
    assert keys == {
        ("1", EVENTS[1], None, "1"),
        ("1", EVENTS[1], None, "2"),
        ("7", EVENTS[0], "data_types", "1"),
        ("1", EVENTS[0], None, None),
    }
