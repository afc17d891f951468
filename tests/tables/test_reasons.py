"""Why a blank is blank, where only a part of a record was exported."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from redcap_dagster.project import DictionaryField, RedcapProject
from redcap_dagster.tables import TableOptions, plan_tables, split_chunk

ROWS = [
    {"record_id": "1", "redcap_event_name": "first_arm_1", "a": "1", "visit_complete": "2"},
    {"record_id": "1", "redcap_event_name": "second_arm_1", "lab_complete": "2"},
]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (None, {"b": "blank", "c": "blank", "d": "not_asked"}),
        (("first_arm_1", "second_arm_1"), {"b": "blank", "c": "blank", "d": "not_asked"}),
        (("second_arm_1",), {"b": "undetermined", "c": "blank", "d": "not_asked"}),
    ],
)
def test_logic_about_an_event_that_was_not_exported_leaves_the_reason_undetermined(
    make_project: Callable[..., RedcapProject],
    make_chunk: Callable[..., Any],
    events: Sequence[str] | None,
    expected: dict[str, str],
) -> None:
    lab = [
        DictionaryField("b", "lab", "text", branching_logic="[first_arm_1][a] = '1'"),
        DictionaryField("c", "lab", "text", branching_logic="[d] = ''"),
        DictionaryField("d", "lab", "text", branching_logic="[c] <> ''"),
    ]
    project = make_project(
        {"visit": ["record_id", "a"], "lab": lab},
        events={"first_arm_1": ["visit"], "second_arm_1": ["lab"], "only_arm_2": ["visit"]},
    )
    rows = [row for row in ROWS if events is None or row["redcap_event_name"] in events]
    done = split_chunk(
        make_chunk(project, rows),
        project,
        plan_tables(project, options=TableOptions(missing_reasons=True)),
        events=events,
    )
    assert done.missing_reasons is not None
    reasons = {row["field"]: row["reason"] for row in done.missing_reasons.to_pylist()}
    assert {name: reasons[name] for name in "bcd"} == expected
