"""What changed between two designs."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from redcap_dagster.errors import ProjectMismatchError
from redcap_dagster.project import (
    DesignChange,
    ProjectAnswers,
    check_same_project,
    diff_projects,
    parse_project,
)

MakeAnswers = Callable[..., ProjectAnswers]


def text_field(name: str, form: str = "demographics", **columns: str) -> dict[str, str]:
    return {"field_name": name, "form_name": form, "field_type": "text", **columns}


def test_a_design_does_not_differ_from_itself(longitudinal_answers: ProjectAnswers) -> None:
    project = parse_project(longitudinal_answers)
    assert diff_projects(project, parse_project(longitudinal_answers)) == ()


def test_added_removed_and_changed_fields_are_named(make_answers: MakeAnswers) -> None:
    old = parse_project(make_answers(text_field("age"), text_field("gone")))
    new = parse_project(make_answers(text_field("age", field_label="Age"), text_field("born")))
    assert diff_projects(old, new) == (
        DesignChange("changed", "demographics", "age"),
        DesignChange("added", "demographics", "born"),
        DesignChange("removed", "demographics", "gone"),
    )


def test_added_and_removed_instruments_are_named_before_their_fields(
    make_answers: MakeAnswers,
) -> None:
    old = parse_project(
        make_answers(text_field("kg", "weight"), instruments=("demographics", "weight"))
    )
    new = parse_project(
        make_answers(text_field("bpm", "pulse"), instruments=("demographics", "pulse"))
    )
    assert diff_projects(old, new) == (
        DesignChange("added", "pulse"),
        DesignChange("removed", "weight"),
        DesignChange("added", "pulse", "bpm"),
        DesignChange("removed", "weight", "kg"),
    )


def test_an_instrument_changes_with_its_events_and_repeats(
    longitudinal_answers: ProjectAnswers,
) -> None:
    old = parse_project(longitudinal_answers)
    weight_changed = (DesignChange("changed", "weight"),)
    assert diff_projects(old, replace(old, repeats=old.repeats[:1])) == weight_changed
    assert diff_projects(old, replace(old, repeats=old.repeats[1:])) == weight_changed
    assert diff_projects(old, replace(old, form_events=old.form_events[:-1])) == weight_changed


def test_a_snapshot_of_the_same_project_is_accepted_when_its_design_has_changed(
    make_answers: MakeAnswers,
) -> None:
    check_same_project(
        parse_project(make_answers()), parse_project(make_answers(text_field("age")))
    )


def test_a_snapshot_of_another_project_is_refused(make_answers: MakeAnswers) -> None:
    snapshot = parse_project(make_answers())
    live = parse_project(make_answers(info={"project_id": 99}, metadata=[text_field("study_id")]))
    with pytest.raises(ProjectMismatchError) as caught:
        check_same_project(snapshot, live)
    assert str(caught.value) == (
        "The snapshot is of another project than the API token opens: it has project id 15, "
        "not 99 and record id field record_id, not study_id. Use the token of that project, or "
        "write the snapshot anew with `redcap-dagster snapshot FILE`, or "
        "`dg utils refresh-defs-state` where a component keeps it."
    )
