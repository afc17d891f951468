"""Export columns of a design."""

from collections.abc import Callable

import pytest

from redcap_dagster.errors import DesignError
from redcap_dagster.project import (
    ExportColumn,
    ProjectAnswers,
    checkbox_column_name,
    parse_project,
    plan_export_columns,
)

MakeAnswers = Callable[..., ProjectAnswers]


def checkbox(name: str, choices: str) -> dict[str, str]:
    return {
        "field_name": name,
        "form_name": "demographics",
        "field_type": "checkbox",
        "select_choices_or_calculations": choices,
    }


def names_of(answers: ProjectAnswers, instruments: list[str] | None = None) -> list[str]:
    return [column.name for column in plan_export_columns(parse_project(answers), instruments)]


def test_columns_say_what_they_hold(make_answers: MakeAnswers) -> None:
    answers = make_answers(
        checkbox("race", "1, A | B2, B"),
        {"field_name": "intro", "form_name": "demographics", "field_type": "descriptive"},
        info={"surveys_enabled": 1, "missing_data_codes": "UNK, Unknown"},
    )
    form = "demographics"
    assert plan_export_columns(parse_project(answers)) == (
        ExportColumn("record_id", "record_id", form, "record_id"),
        ExportColumn("redcap_data_access_group", "data_access_group", is_optional=True),
        ExportColumn("redcap_survey_identifier", "survey_identifier", is_optional=True),
        ExportColumn("demographics_timestamp", "survey_timestamp", form, is_optional=True),
        ExportColumn("sex", "value", form, "sex"),
        ExportColumn("race___1", "checkbox", form, "race", "1"),
        ExportColumn("race___b2", "checkbox", form, "race", "B2"),
        ExportColumn("race___unk", "missing_code_checkbox", form, "race", "UNK", is_optional=True),
        ExportColumn("demographics_complete", "form_status", form),
    )


def test_events_and_repeats_add_their_columns_after_the_record_id(
    longitudinal_answers: ProjectAnswers,
) -> None:
    assert names_of(longitudinal_answers) == [
        "record_id",
        "redcap_event_name",
        "redcap_repeat_instrument",
        "redcap_repeat_instance",
        "redcap_data_access_group",
        "sex",
        "demographics_complete",
        "kg",
        "weight_complete",
    ]


def test_instruments_can_be_chosen_and_keep_the_projects_order(make_answers: MakeAnswers) -> None:
    answers = make_answers(
        {"field_name": "kg", "form_name": "weight", "field_type": "text"},
        {"field_name": "pulse", "form_name": "heart", "field_type": "text"},
        instruments=("demographics", "weight", "heart"),
    )
    assert names_of(answers, ["heart", "weight"]) == [
        "record_id",
        "redcap_data_access_group",
        "kg",
        "weight_complete",
        "pulse",
        "heart_complete",
    ]


def test_an_instrument_without_fields_has_its_form_status(make_answers: MakeAnswers) -> None:
    answers = make_answers(instruments=("demographics", "new_form"))
    assert names_of(answers)[-2:] == ["demographics_complete", "new_form_complete"]


def test_an_unknown_instrument_is_refused(make_answers: MakeAnswers) -> None:
    with pytest.raises(DesignError, match="The project has no instrument 'a', 'b'"):
        names_of(make_answers(), ["demographics", "b", "a"])


@pytest.mark.parametrize(
    ("code", "column"),
    [
        ("1", "chk___1"),
        ("ABC", "chk___abc"),
        ("-9", "chk____9"),
        ("k>=9", "chk___k__9"),
        ("a___b", "chk___a___b"),
        ("9..9", "chk___9__9"),
    ],
)
def test_checkbox_columns_are_named_as_redcap_names_them(code: str, column: str) -> None:
    assert checkbox_column_name("chk", code) == column


def test_choices_that_would_share_a_column_are_refused_by_name(make_answers: MakeAnswers) -> None:
    answers = make_answers(checkbox("race", "A, one | a, two"), checkbox("pet", "-1, x | _1, y"))
    with pytest.raises(DesignError) as caught:
        names_of(answers)
    assert str(caught.value).startswith(
        "2 export columns would be there twice: 'race___a', 'pet____1' of the fields 'race', 'pet'."
    )


def test_a_field_may_be_named_as_the_timestamp_of_a_survey(make_answers: MakeAnswers) -> None:
    stamp = {
        "field_name": "demographics_timestamp",
        "form_name": "demographics",
        "field_type": "text",
    }
    answers = make_answers(stamp, info={"surveys_enabled": 1})
    columns = plan_export_columns(parse_project(answers))
    assert [column.kind for column in columns if column.name == "demographics_timestamp"] == [
        "value"
    ]


def test_a_field_named_as_a_form_status_is_refused(make_answers: MakeAnswers) -> None:
    status = {
        "field_name": "demographics_complete",
        "form_name": "demographics",
        "field_type": "text",
    }
    with pytest.raises(DesignError, match="A field has the name of an instrument's form status"):
        names_of(make_answers(status))


def test_a_missing_data_code_that_is_a_choice_of_the_field_has_the_choices_column(
    make_answers: MakeAnswers,
) -> None:
    answers = make_answers(
        checkbox("race", "1, A | unk, Not known"), info={"missing_data_codes": "UNK, Unknown"}
    )
    columns = plan_export_columns(parse_project(answers))
    assert [column.kind for column in columns if column.field == "race"] == ["checkbox", "checkbox"]
