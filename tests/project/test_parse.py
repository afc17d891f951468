"""From API answers to a design."""

from collections.abc import Callable

import pytest

from redcap_dagster.errors import DesignError
from redcap_dagster.project import (
    Arm,
    Choice,
    DictionaryField,
    Event,
    FormEvent,
    Instrument,
    MissingDataCode,
    ProjectAnswers,
    ProjectInfo,
    RedcapProject,
    RepeatRule,
    parse_project,
)

MakeAnswers = Callable[..., ProjectAnswers]


def test_a_small_classic_project_becomes_frozen_values(make_answers: MakeAnswers) -> None:
    assert parse_project(make_answers()) == RedcapProject(
        info=ProjectInfo(project_id=15, title="A study"),
        redcap_version="14.7.3",
        instruments=(
            Instrument(
                "demographics",
                "Demographics",
                (
                    DictionaryField("record_id", "demographics", "text"),
                    DictionaryField(
                        "sex",
                        "demographics",
                        "radio",
                        label="Sex",
                        choices=(Choice("1", "Female"), Choice("2", "Male")),
                        definition="1, Female | 2, Male",
                        is_required=True,
                    ),
                ),
            ),
        ),
    )


def test_a_longitudinal_project_keeps_its_schedule(longitudinal_answers: ProjectAnswers) -> None:
    project = parse_project(longitudinal_answers)
    assert (project.arms, project.events, project.form_events, project.repeats) == (
        (Arm(1, "Drug"), Arm(2, "Placebo")),
        (
            Event("enrolment_arm_1", "Enrolment", 1),
            Event("visit_arm_1", "Visit", 1),
            Event("home_arm_2", "Home", 2),
        ),
        (
            FormEvent("enrolment_arm_1", "demographics"),
            FormEvent("visit_arm_1", "weight"),
            FormEvent("home_arm_2", "weight"),
        ),
        (RepeatRule("visit_arm_1", None), RepeatRule("home_arm_2", "weight", "[kg]")),
    )


def test_a_design_answers_where_an_instrument_is_used_and_repeats(
    longitudinal_answers: ProjectAnswers,
) -> None:
    project = parse_project(longitudinal_answers)
    assert project.events_of("weight") == ("visit_arm_1", "home_arm_2")
    assert project.event_repeats("visit_arm_1")
    assert not project.event_repeats("home_arm_2")
    assert project.repeats_as_form("weight", "home_arm_2")
    assert not project.repeats_as_form("weight", "visit_arm_1")


def test_settings_read_alike_from_csv_text_and_json_numbers(make_answers: MakeAnswers) -> None:
    codes = "NI, No information | UNK, Unknown"
    text = {"project_id": "15", "surveys_enabled": "1", "missing_data_codes": codes}
    numbers = {"project_id": 15, "surveys_enabled": 1, "missing_data_codes": codes}
    expected = ProjectInfo(
        project_id=15,
        title="A study",
        surveys_enabled=True,
        missing_data_codes=(
            MissingDataCode("NI", "No information"),
            MissingDataCode("UNK", "Unknown"),
        ),
    )
    assert parse_project(make_answers(info=text)).info == expected
    assert parse_project(make_answers(info=numbers)).info == expected


def test_null_and_absent_columns_are_blank(make_answers: MakeAnswers) -> None:
    row = {
        "field_name": "age",
        "form_name": "demographics",
        "field_type": "text",
        "field_label": None,
        "field_note": None,
    }
    project = parse_project(make_answers(row))
    assert project.fields_by_name["age"] == DictionaryField("age", "demographics", "text")


def test_yesno_and_truefalse_have_their_implied_choices(make_answers: MakeAnswers) -> None:
    rows = [
        {"field_name": kind, "form_name": "demographics", "field_type": kind}
        for kind in ("yesno", "truefalse")
    ]
    fields = parse_project(make_answers(*rows)).fields_by_name
    assert fields["yesno"].choices == (Choice("1", "Yes"), Choice("0", "No"))
    assert fields["truefalse"].choices == (Choice("1", "True"), Choice("0", "False"))


def test_a_text_validation_of_the_site_itself_is_kept(make_answers: MakeAnswers) -> None:
    row = {
        "field_name": "code",
        "form_name": "demographics",
        "field_type": "text",
        "text_validation_type_or_show_slider_number": "our_own_codes",
    }
    assert parse_project(make_answers(row)).fields_by_name["code"].validation == "our_own_codes"


def test_an_instrument_without_fields_stands_where_the_project_lists_it(
    make_answers: MakeAnswers,
) -> None:
    kg = {"field_name": "kg", "form_name": "weight", "field_type": "text"}
    listed = ("demographics", "new_form", "weight")
    project = parse_project(make_answers(kg, instruments=listed))
    assert [(item.name, len(item.fields)) for item in project.instruments] == [
        ("demographics", 2),
        ("new_form", 0),
        ("weight", 1),
    ]


def test_the_dictionary_decides_the_order_of_instruments(make_answers: MakeAnswers) -> None:
    kg = {"field_name": "kg", "form_name": "weight", "field_type": "text"}
    listed = ("weight", "new_form", "demographics")
    project = parse_project(make_answers(kg, instruments=listed))
    assert [item.name for item in project.instruments] == ["demographics", "weight", "new_form"]
    assert project.record_id_field == "record_id"


CONTRADICTIONS = {
    "no fields": ({"metadata": []}, "the data dictionary has no fields"),
    "no project id": ({"info": {"project_id": ""}}, "the project settings name no project id"),
    "an instrument that is not listed": (
        {"instruments": ()},
        "are in instrument 'demographics', which the project does not list",
    ),
    "a longitudinal project without events": (
        {"info": {"is_longitudinal": 1}},
        "the project is longitudinal and lists no events",
    ),
    "a mapping in a classic project": (
        {"form_event_mappings": [{"unique_event_name": "a_arm_1", "form": "demographics"}]},
        "the project is classic and lists events",
    ),
    "a repeating instrument that is unknown": (
        {"repeating_instruments_events": [{"form_name": "gone", "custom_form_label": ""}]},
        "the repeating setup names the unknown instrument 'gone'",
    ),
    "an empty repeating setup where something repeats": (
        {"info": {"has_repeating_instruments_or_events": 1}},
        "the project has something that repeats and the repeating setup is empty",
    ),
    "a repeating setup where nothing repeats": (
        {
            "info": {"has_repeating_instruments_or_events": 0},
            "repeating_instruments_events": [{"form_name": "demographics"}],
        },
        "the repeating setup is not empty and nothing repeats",
    ),
}


@pytest.mark.parametrize(("answers", "sentence"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_contradiction_between_answers_is_named(
    make_answers: MakeAnswers, answers: dict[str, object], sentence: str
) -> None:
    with pytest.raises(DesignError) as caught:
        parse_project(make_answers(**answers))
    assert sentence in str(caught.value)


BAD_FIELDS = {
    "an unknown type": (
        {"field_name": "x", "field_type": "select"},
        "field 'x' has the unknown type 'select'",
    ),
    "a choice without a code": (
        {"field_name": "x", "field_type": "radio", "select_choices_or_calculations": "1, A | B"},
        "field 'x' has a choice without a code ('B')",
    ),
    "a code used twice": (
        {"field_name": "x", "field_type": "radio", "select_choices_or_calculations": "1,A|1,B"},
        "field 'x' uses a code for more than one choice (1)",
    ),
    "a name used twice": (
        {"field_name": "sex", "field_type": "text"},
        "the field name 'sex' is used 2 times",
    ),
    "no name": (
        {"field_name": "", "field_type": "text"},
        "a field of instrument 'demographics' has no name",
    ),
}


@pytest.mark.parametrize(("row", "sentence"), BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_a_bad_line_of_the_dictionary_is_named(
    make_answers: MakeAnswers, row: dict[str, str], sentence: str
) -> None:
    with pytest.raises(DesignError) as caught:
        parse_project(make_answers({"form_name": "demographics", **row}))
    assert str(caught.value) == f"The project's design has 1 contradiction: {sentence}."


def test_the_record_id_is_a_text_field(make_answers: MakeAnswers) -> None:
    rows = [{"field_name": "score", "form_name": "demographics", "field_type": "calc"}]
    with pytest.raises(DesignError, match="'score' holds the record id and is not of type text"):
        parse_project(make_answers(metadata=rows))


def test_a_schedule_that_names_unknown_things_is_refused(
    longitudinal_answers: ProjectAnswers, make_answers: MakeAnswers
) -> None:
    answers = make_answers(
        info=dict(longitudinal_answers.project_info),
        arms=[{"arm_num": 1, "name": "Drug"}],
        events=longitudinal_answers.events,
        form_event_mappings=[{"unique_event_name": "gone_arm_1", "form": "gone"}],
        repeating_instruments_events=[
            {"event_name": "visit_arm_1", "form_name": ""},
            {"event_name": "visit_arm_1", "form_name": "demographics"},
            {"event_name": "", "form_name": "demographics"},
        ],
    )
    with pytest.raises(DesignError) as caught:
        parse_project(answers)
    assert str(caught.value) == (
        "The project's design has 5 contradictions: "
        "event 'home_arm_2' is in arm 2, which is not listed; "
        "the form-event mapping names the unknown event 'gone_arm_1'; "
        "the form-event mapping names the unknown instrument 'gone'; "
        "instrument 'demographics' repeats by itself in event 'visit_arm_1', "
        "which repeats as a whole; "
        "the repeating setup has a line that names no event."
    )


def test_a_single_contradiction_tells_instrument_and_field(make_answers: MakeAnswers) -> None:
    with pytest.raises(DesignError) as caught:
        parse_project(
            make_answers({"field_name": "x", "form_name": "demographics", "field_type": "odd"})
        )
    assert (caught.value.instrument, caught.value.field) == ("demographics", "x")


def test_of_many_contradictions_twenty_are_told_and_the_rest_counted(
    make_answers: MakeAnswers,
) -> None:
    rows = [
        {"field_name": f"x{number}", "form_name": "demographics", "field_type": "odd"}
        for number in range(25)
    ]
    with pytest.raises(DesignError) as caught:
        parse_project(make_answers(*rows))
    message = str(caught.value)
    assert message.startswith("The project's design has 25 contradictions: field 'x0' has")
    assert message.endswith("field 'x19' has the unknown type 'odd'; and 5 more.")
