"""The rules that look at more than one field, or at all rows of a table."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import QualityJudge, plan_quality
from redcap_dagster.tables import plan_tables

EVENTS = ("first_arm_1", "second_arm_1")


@pytest.fixture
def project(
    make_project: Callable[..., RedcapProject], make_field: Callable[..., dict[str, Any]]
) -> RedcapProject:
    """`visit` and the repeating `dose` in the first event, `visit` alone in the second."""
    return make_project(
        make_field("record_id"),
        make_field("email"),
        make_field("amount", form="dose", validation="integer"),
        info={"is_longitudinal": 1, "secondary_unique_field": "email"},
        arms=[{"arm_num": 1, "name": "One"}],
        events=[{"unique_event_name": name, "event_name": name, "arm_num": 1} for name in EVENTS],
        form_event_mappings=[
            {"arm_num": 1, "unique_event_name": EVENTS[0], "form": "visit"},
            {"arm_num": 1, "unique_event_name": EVENTS[0], "form": "dose"},
            {"arm_num": 1, "unique_event_name": EVENTS[1], "form": "visit"},
        ],
        repeating_instruments_events=[
            {"event_name": EVENTS[0], "form_name": "dose", "custom_form_label": ""}
        ],
    )


def visit(record: str, event: str = EVENTS[0], **values: str) -> dict[str, str]:
    return {
        "record_id": record,
        "redcap_event_name": event,
        "dose_complete": "",
        **values,
    }


def dose(record: str, instance: int, **values: str) -> dict[str, str]:
    return {
        "record_id": record,
        "redcap_event_name": EVENTS[0],
        "redcap_repeat_instrument": "dose",
        "redcap_repeat_instance": str(instance),
        "visit_complete": "",
        **values,
    }


def test_the_first_instance_after_a_gap_is_found(
    project: RedcapProject, judged: Callable[..., Any]
) -> None:
    study = [visit("1"), dose("1", 1), dose("1", 2), dose("2", 2), dose("3", 5), dose("3", 1)]
    _, found = judged(project, study)
    gaps = [row for row in found if row["rule"] == "instance_gaps"]
    assert [(row["record_id"], row["redcap_repeat_instance"]) for row in gaps] == [
        ("2", "2"),
        ("3", "5"),
    ]
    assert {row["status"] for row in gaps} == {"An instance before this one is absent"}


def test_data_of_a_form_where_it_is_not_used_is_found(
    project: RedcapProject, judged: Callable[..., Any]
) -> None:
    study = [
        visit("1", EVENTS[1], amount="3"),
        visit("2", EVENTS[0], amount="3"),
        visit("3", EVENTS[1]),
    ]
    _, found = judged(project, study)
    misplaced = [row for row in found if row["rule"] == "misplaced_forms"]
    assert [(row["record_id"], row["instrument"], row["status"]) for row in misplaced] == [
        ("1", "dose", "The event does not use the form"),
        (
            "2",
            "dose",
            "The form repeats here and the row does not, or the other way round",
        ),
    ]


def test_a_record_is_in_one_data_access_group(
    project: RedcapProject, judged: Callable[..., Any]
) -> None:
    group = "redcap_data_access_group"
    study = [
        visit("1", **{group: "north"}),
        visit("1", EVENTS[1], **{group: "south"}),
        visit("2", **{group: "north"}),
        visit("2", EVENTS[1], **{group: "north"}),
        visit("3", **{group: ""}),
        visit("4", **{group: ""}),
        visit("4", EVENTS[1], **{group: "north"}),
    ]
    judge, found = judged(project, study)
    assert [
        (row["record_id"], row["instrument"])
        for row in found
        if row["rule"] == "one_data_access_group"
    ] == [("1", None), ("4", None)]
    assert judge.outcome("one_data_access_group", None).findings == 2


def test_the_secondary_unique_field_is_unique_among_records(
    project: RedcapProject, judged: Callable[..., Any]
) -> None:
    study = [
        visit("1", email="a@b.org"),
        visit("1", EVENTS[1], email="a@b.org"),
        visit("2", email="c@d.org"),
        visit("3", email="c@d.org"),
        visit("4"),
        visit("5"),
    ]
    _, found = judged(project, study)
    assert [
        (row["record_id"], row["field"]) for row in found if row["rule"] == "secondary_unique_field"
    ] == [("2", "email"), ("3", "email")]


@pytest.mark.parametrize(
    ("part", "is_noted"),
    [
        ({}, False),
        ({"events": EVENTS}, False),
        ({"events": EVENTS[:1]}, True),
        ({"events": ["third_arm_1"]}, False),  # there it has no values
        ({"holds_all_records": False}, True),
    ],
)
def test_what_is_unique_in_a_part_of_a_study_may_not_be_so_in_the_study(
    project: RedcapProject, part: dict[str, Any], is_noted: bool
) -> None:
    judge = QualityJudge(plan_quality(project))
    (spec,) = plan_tables(project, ["visit"])
    empty = spec.arrow_schema.empty_table()
    list(judge.judge_table("visit", lambda _, columns: empty.select(columns), **part))
    missed = judge.outcome("secondary_unique_field", "visit").not_evaluated
    assert [item.field for item in missed] == ["email"] * is_noted
    assert judge.outcome("outliers", "visit").passed


def test_logic_about_an_event_that_was_not_exported_is_not_evaluated(
    make_project: Callable[..., RedcapProject],
    make_field: Callable[..., dict[str, Any]],
    make_export: Callable[..., pa.Table],
) -> None:
    project = make_project(
        make_field("record_id"),
        make_field("x", branching_logic=f"[{EVENTS[0]}][y] = '1'"),
        make_field("y", branching_logic="[x] = ''"),
        info={"is_longitudinal": 1},
        arms=[{"arm_num": 1, "name": "One"}],
        events=[{"unique_event_name": name, "event_name": name, "arm_num": 1} for name in EVENTS],
        form_event_mappings=[
            {"arm_num": 1, "unique_event_name": name, "form": "visit"} for name in EVENTS
        ],
    )
    rows = make_export(
        project, [{"record_id": "1", "redcap_event_name": EVENTS[1], "x": "a", "y": "b"}]
    )
    rule = "hidden_fields_with_values"
    for events, missed, found in (([EVENTS[1]], ["x"], ["y"]), (list(EVENTS), [], ["x", "y"])):
        judge = QualityJudge(plan_quality(project))
        pieces = list(judge.judge_rows(rows, ["visit"], events))
        fields = [row["field"] for piece in pieces for row in piece.to_pylist()]
        assert [item.field for item in judge.outcome(rule, "visit").not_evaluated] == missed
        assert fields == found


def test_findings_stand_in_the_order_of_the_rows(
    project: RedcapProject, judged: Callable[..., Any]
) -> None:
    study = [visit("2", EVENTS[1], amount="x"), dose("1", 1, amount="x"), dose("1", 3)]
    _, found = judged(project, study)
    assert [(row["record_id"], row["rule"]) for row in found] == [
        ("2", "misplaced_forms"),
        ("1", "invalid_data_type"),
        ("1", "instance_gaps"),
    ]


def test_no_value_or_record_id_is_in_what_is_counted(
    project: RedcapProject, judged: Callable[..., Any]
) -> None:
    study = [dose("zqrecord", 2, amount="zqvalue"), visit("zqrecord", email="zqvalue")]
    judge, found = judged(project, study)
    outcomes = [
        judge.outcome(rule, instrument)
        for rule in {row["rule"] for row in found}
        for instrument in ("visit", "dose", None)
    ]
    assert sum(outcome.findings for outcome in outcomes) == 2
    assert "zq" not in repr(outcomes)
    assert not any("zqvalue" in str(row) for row in found)
