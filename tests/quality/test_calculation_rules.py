"""Rule H: stored results against what the calculation gives."""

from collections.abc import Callable
from typing import Any

from redcap_dagster.project import RedcapProject
from tests.quality.conftest import Find, MakeField, MakeProject, places, rows


def test_a_stored_result_differs_from_the_calculation(
    find: Find, one: Callable[..., RedcapProject]
) -> None:
    project = one("calc", choices="round([age] / 3, 2)")
    study = [
        {"record_id": "1", "age": "1", "x": "0.33"},
        {"record_id": "2", "age": "1", "x": "0.34"},
        {"record_id": "3", "age": "1", "x": ""},
        {"record_id": "4", "age": "", "x": "0.33"},
        {"record_id": "5", "age": "", "x": ""},
        {"record_id": "6", "age": "1", "x": "text"},
        {"record_id": "7", "age": "1", "x": "", "visit_complete": ""},
        {"record_id": "8", "age": "1", "x": "NI"},
    ]
    assert find("incorrect_calculations", project, study) == [
        ("2", "x", "Incorrect value"),
        ("3", "x", "Blank stored, value expected"),
        ("4", "x", "Value stored, blank expected"),
        ("6", "x", "Incorrect value"),
    ]


def test_calculated_texts_and_dates_are_compared_as_texts(
    find: Find, make_project: MakeProject, make_field: MakeField
) -> None:
    project = make_project(
        make_field("record_id"),
        make_field("name"),
        make_field("born", validation="date_dmy"),
        make_field("loud", field_annotation="@CALCTEXT(upper([name]))"),
        make_field("visit", validation="date_ymd", field_annotation="@CALCDATE([born], 7, 'd')"),
    )
    study = [
        {"record_id": "1", "name": "a", "loud": "A", "born": "2024-02-25", "visit": "2024-03-03"},
        {"record_id": "2", "name": "b", "loud": "b", "born": "2024-02-25", "visit": "2024-03-04"},
    ]
    assert find("incorrect_calculations", project, study) == [
        ("2", "loud", "Incorrect value"),
        ("2", "visit", "Incorrect value"),
    ]


def test_a_calculation_under_branching_that_cannot_be_read_is_not_evaluated(
    judged: Callable[..., Any], one: Callable[..., RedcapProject]
) -> None:
    project = one("calc", choices="[age] + 1", branching_logic="[age] === 3")
    judge, _ = judged(project, rows("", age="1"))  # nobody knows whether a result belongs here
    (missed,) = judge.outcome("incorrect_calculations", "visit").not_evaluated
    assert missed.field == "x"
    judge, _ = judged(one(branching_logic="[age] === 3"), rows(""))
    assert judge.outcome("incorrect_calculations", "visit").passed


def test_results_that_drift_are_compared_when_asked_for(
    find: Find, one: Callable[..., RedcapProject]
) -> None:
    project = one("calc", choices="year('today') + [age]")
    study = [{"record_id": "1", "age": "0", "x": "2023"}]
    assert find("incorrect_calculations", project, study) == []
    found = find("incorrect_calculations", project, study, calculations_with_today=True)
    assert places(found) == ["1"]
