"""What changed in the design is named by what it means."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest

from redcap_dagster.errors import ConfigError
from redcap_dagster.project import (
    DEFAULT_DRIFT_POLICY,
    DRIFT_MEANINGS,
    Drift,
    DriftKind,
    MissingDataCode,
    ProjectAnswers,
    RedcapProject,
    find_drift,
    merge_drift_policy,
    parse_project,
)

MakeAnswers = Callable[..., ProjectAnswers]
FORM = "demographics"
AGE: dict[str, Any] = {
    "field_name": "age",
    "form_name": FORM,
    "field_type": "text",
    "field_label": "Age",
    "text_validation_type_or_show_slider_number": "integer",
    "text_validation_min": "18",
    "text_validation_max": "90",
}
SMOKER: dict[str, Any] = {
    "field_name": "smoker",
    "form_name": FORM,
    "field_type": "radio",
    "field_label": "Smoker",
    "select_choices_or_calculations": "1, Never | 2, Former | 3, Current",
}
SLIDER: dict[str, Any] = {
    "field_name": "pain",
    "form_name": FORM,
    "field_type": "slider",
    "select_choices_or_calculations": "none | | worst",
}
VALIDATION = "text_validation_type_or_show_slider_number"
CHOICES = "select_choices_or_calculations"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (AGE, AGE | {"field_name": "age_years"}, [("field_renamed", "was age")]),
        (
            AGE,
            AGE | {VALIDATION: "number"},
            [
                ("field_retyped", "text integer → text number"),
                ("validation_tightened", "format integer → number"),
            ],
        ),
        (AGE, AGE | {"text_validation_min": "21"}, [("validation_tightened", "minimum 18 → 21")]),
        (AGE, AGE | {"text_validation_min": "16"}, [("validation_loosened", "minimum 18 → 16")]),
        (AGE, AGE | {"text_validation_max": ""}, [("validation_loosened", "maximum 90 → none")]),
        (AGE, AGE | {"required_field": "y"}, [("validation_tightened", "required none → y")]),
        (AGE, AGE | {"branching_logic": "[sex] = '1'"}, [("branching_changed", "")]),
        (AGE, AGE | {"field_label": "Age in years"}, [("field_reworded", "")]),
        (
            SMOKER,
            SMOKER | {CHOICES: "1, Never | 2, Former | 3, Current | 4, Unknown"},
            [("choice_added", "code 4")],
        ),
        (SMOKER, SMOKER | {CHOICES: "1, Never | 3, Current"}, [("choice_removed", "code 2")]),
        (
            SMOKER,
            SMOKER | {CHOICES: "1, Never | 2, Ex | 3, Current"},
            [("choice_relabelled", "code 2")],
        ),
        (
            SMOKER,
            SMOKER | {CHOICES: "1, Never | 2, Current | 3, Former"},
            [("choice_recoded", "3 → 2, 2 → 3")],
        ),
        (
            SMOKER,
            SMOKER | {CHOICES: "1, Never | 2, Former | 9, Current"},
            [("choice_recoded", "3 → 9")],
        ),
        (
            SMOKER,
            SMOKER | {CHOICES: "1, Never | 2, Former | 3, Current | 4, Former"},
            [("choice_added", "code 4")],
        ),
        (
            SMOKER | {CHOICES: "1, Never | 2, Never"},
            SMOKER | {CHOICES: "1, Never | 3, Never"},
            [("choice_recoded", "2 → 3")],
        ),
        (SMOKER, SMOKER | {"field_type": "dropdown"}, [("field_reworded", "radio → dropdown")]),
        (
            SMOKER | {"field_type": "yesno"},
            SMOKER | {"field_type": "checkbox", CHOICES: "1, Yes | 0, No"},
            [("field_retyped", "yesno → checkbox")],
        ),
        (
            SMOKER,
            SMOKER | {"field_type": "notes"},
            [("field_retyped", "radio → notes"), ("choice_removed", "code 1, 2, 3")],
        ),
        (AGE, AGE | {"identifier": "y"}, [("identifier_changed", "flagged")]),
        (AGE | {"identifier": "y"}, AGE, [("identifier_changed", "not flagged any more")]),
        (AGE, AGE | {"field_annotation": "@READONLY"}, [("annotation_changed", "")]),
        (
            AGE | {"field_annotation": "@CALCTEXT(upper([sex]))"},
            AGE | {"field_annotation": "@CALCTEXT(lower([sex])) @HIDDEN"},
            [("calculation_changed", "")],
        ),
        (
            AGE | {"field_annotation": "@CALCTEXT(upper([sex]))"},
            AGE | {"field_annotation": "@CALCTEXT(upper([sex])) @HIDDEN"},
            [("annotation_changed", "")],
        ),
        (SLIDER, SLIDER | {CHOICES: "none | | much"}, [("field_reworded", "")]),
        (
            SMOKER,
            SMOKER | {"matrix_ranking": "y"},
            [("validation_tightened", "ranking none → y")],
        ),
    ],
)
def test_a_change_of_a_field_is_named(
    make_answers: MakeAnswers,
    before: dict[str, Any],
    after: dict[str, Any],
    expected: list[tuple[str, str]],
) -> None:
    drift = find_drift(parse_project(make_answers(before)), parse_project(make_answers(after)))
    assert [(item.kind, item.detail) for item in drift] == expected
    assert {(item.instrument, item.field) for item in drift} == {(FORM, after["field_name"])}


def test_fields_and_instruments_that_come_and_go(make_answers: MakeAnswers) -> None:
    weight = {"field_name": "kg", "form_name": "weight", "field_type": "text"}
    old = parse_project(make_answers(AGE, weight, instruments=(FORM, "weight")))
    new = parse_project(make_answers(weight | {"form_name": FORM}, SMOKER))
    assert find_drift(old, new) == (
        Drift("instrument_removed", "weight"),
        Drift("field_moved", FORM, "kg", detail="was in weight"),
        Drift("field_added", FORM, "smoker"),
        Drift("field_removed", FORM, "age"),
    )


def test_a_calculation(make_answers: MakeAnswers) -> None:
    calc = {"field_name": "bmi", "form_name": FORM, "field_type": "calc", CHOICES: "[kg] / 2"}
    old, new = (
        parse_project(make_answers(calc | {CHOICES: text})) for text in ("[sex] / 2", "[sex] / 3")
    )
    assert find_drift(old, new) == (Drift("calculation_changed", FORM, "bmi"),)


@pytest.fixture
def project(longitudinal_answers: ProjectAnswers) -> RedcapProject:
    return parse_project(longitudinal_answers)


def test_events_forms_in_events_and_repeats(project: RedcapProject) -> None:
    visit, home = project.form_events[1], project.form_events[2]
    assert find_drift(project, replace(project, form_events=project.form_events[:2])) == (
        Drift("form_removed_from_event", home.instrument, event=home.event),
    )
    assert find_drift(replace(project, form_events=project.form_events[:2]), project) == (
        Drift("form_added_to_event", home.instrument, event=home.event),
    )
    assert find_drift(project, replace(project, repeats=project.repeats[:1])) == (
        Drift("stops_repeating", "weight", event="home_arm_2"),
    )
    assert find_drift(replace(project, repeats=project.repeats[1:]), project) == (
        Drift("starts_repeating", "", event="visit_arm_1"),
    )
    assert find_drift(project, replace(project, events=project.events[:-1])) == (
        Drift("event_removed", event="home_arm_2"),
    )
    assert visit.event == "visit_arm_1"


def test_labels_of_events_and_arms(project: RedcapProject) -> None:
    first, *others = project.events
    (arm, *_) = project.arms
    named = replace(project, events=(replace(first, name="Screening"), *others))
    assert find_drift(project, named) == (
        Drift(
            "event_relabelled",
            event=first.unique_name,
            detail=f"{first.name} in arm 1 {arm.name} → Screening in arm 1 {arm.name}",
        ),
    )
    arms = (replace(arm, name="Verum"), *project.arms[1:])
    changed = find_drift(project, replace(project, arms=arms))
    assert [item.event for item in changed] == [
        event.unique_name for event in project.events if event.arm_number == arm.number
    ]


def test_settings_of_the_project(project: RedcapProject) -> None:
    info = replace(
        project.info,
        secondary_unique_field="mrn",
        surveys_enabled=not project.info.surveys_enabled,
    )
    first, second = find_drift(project, replace(project, info=info))
    assert first == Drift("settings_changed", detail="secondary unique field: none → mrn")
    assert (second.kind, second.detail[:8]) == ("settings_changed", "surveys:")


def test_missing_data_codes(project: RedcapProject) -> None:
    info = replace(project.info, missing_data_codes=(MissingDataCode("UNK", "Unknown"),))
    assert find_drift(project, replace(project, info=info)) == (
        Drift("missing_codes_changed", detail="none → UNK"),
    )


def test_a_design_has_no_drift_from_itself(project: RedcapProject) -> None:
    assert find_drift(project, project) == ()


def test_every_kind_has_a_meaning_and_a_policy() -> None:
    kinds = get_args(DriftKind)
    assert tuple(DRIFT_MEANINGS) == tuple(DEFAULT_DRIFT_POLICY) == kinds
    assert {kind for kind in kinds if DEFAULT_DRIFT_POLICY[kind] == "block"} == {
        "field_retyped",
        "choice_recoded",
        "starts_repeating",
        "stops_repeating",
    }


def test_a_drift_is_a_sentence() -> None:
    assert str(Drift("field_renamed", FORM, "age_years", detail="was age")) == (
        "field renamed: field age_years (was age): its column has another name; what reads the old "
        "one finds nothing"
    )


def test_a_study_sets_what_a_kind_is_worth_and_leaves_the_others() -> None:
    policy = merge_drift_policy({"field_added": "block"})
    assert policy == {**DEFAULT_DRIFT_POLICY, "field_added": "block"}


@pytest.mark.parametrize("own", [{"field_gone": "warn"}, {"field_added": "stop"}])
def test_a_policy_or_kind_that_is_none_is_refused(own: Any) -> None:
    with pytest.raises(ConfigError, match=r"field_gone|stop"):
        merge_drift_policy(own)
