"""Answers of small projects, written as the API sends them."""

from collections.abc import Callable
from typing import Any

import pytest

from redcap_dagster.project import ProjectAnswers

DEMOGRAPHICS = [
    {"field_name": "record_id", "form_name": "demographics", "field_type": "text"},
    {
        "field_name": "sex",
        "form_name": "demographics",
        "field_type": "radio",
        "field_label": "Sex",
        "select_choices_or_calculations": "1, Female | 2, Male",
        "required_field": "y",
    },
]


def answers_with(
    *rows: dict[str, Any], instruments: tuple[str, ...] = ("demographics",), **answers: Any
) -> ProjectAnswers:
    """Answers of a project of one small form, with more fields, forms or other answers."""
    info = {"project_id": 15, "project_title": "A study", **answers.pop("info", {})}
    listed = [{"instrument_name": name, "instrument_label": name.title()} for name in instruments]
    return ProjectAnswers(
        redcap_version="14.7.3",
        project_info=info,
        metadata=answers.pop("metadata", [*DEMOGRAPHICS, *rows]),
        instruments=listed,
        **answers,
    )


@pytest.fixture
def make_answers() -> Callable[..., ProjectAnswers]:
    return answers_with


@pytest.fixture
def longitudinal_answers() -> ProjectAnswers:
    """Two arms; `visit` repeats as a whole, `weight` by itself in `home`."""
    return answers_with(
        {"field_name": "kg", "form_name": "weight", "field_type": "text"},
        instruments=("demographics", "weight"),
        info={"is_longitudinal": 1, "has_repeating_instruments_or_events": 1},
        arms=[{"arm_num": 1, "name": "Drug"}, {"arm_num": 2, "name": "Placebo"}],
        events=[
            {"event_name": "Enrolment", "arm_num": 1, "unique_event_name": "enrolment_arm_1"},
            {"event_name": "Visit", "arm_num": 1, "unique_event_name": "visit_arm_1"},
            {"event_name": "Home", "arm_num": 2, "unique_event_name": "home_arm_2"},
        ],
        form_event_mappings=[
            {"arm_num": 1, "unique_event_name": "enrolment_arm_1", "form": "demographics"},
            {"arm_num": 1, "unique_event_name": "visit_arm_1", "form": "weight"},
            {"arm_num": 2, "unique_event_name": "home_arm_2", "form": "weight"},
        ],
        repeating_instruments_events=[
            {"event_name": "visit_arm_1", "form_name": "", "custom_form_label": ""},
            {"event_name": "home_arm_2", "form_name": "weight", "custom_form_label": "[kg]"},
        ],
    )
