"""Each of REDCap's data-quality rules on cells made for it."""

from collections.abc import Callable
from typing import Any

import pytest

from redcap_dagster.project import RedcapProject
from tests.quality.conftest import CODES, Find, MakeField, MakeProject, places, rows


def test_a_blank_is_missing_unless_hidden_or_never_opened(
    find: Find, one: Callable[..., RedcapProject]
) -> None:
    project = one(branching_logic="[age] > 17")
    study = [
        {"record_id": "1", "x": "", "age": "18"},
        {"record_id": "2", "x": "", "age": "17"},
        {"record_id": "3", "x": "", "age": ""},
        {"record_id": "4", "x": "NI", "age": "18"},
        {"record_id": "5", "x": "", "age": "18", "visit_complete": ""},
    ]
    assert places(find("missing_values", project, study)) == ["1"]
    assert places(find("missing_values", project, study, includes_unopened_forms=True)) == [
        "1",
        "5",
    ]
    assert find("missing_required_values", project, study) == []


def test_a_required_field_is_missed(find: Find, one: Callable[..., RedcapProject]) -> None:
    found = find("missing_required_values", one(required_field="y"), rows("", "a", "NI"))
    assert found == [("1", "x", "Blank value")]


@pytest.mark.parametrize(
    ("field_type", "option", "is_found"),
    [
        ("calc", "", False),
        ("checkbox", "", False),
        ("file", "", False),
        ("file", "includes_file_fields", True),
        ("notes", "", True),
        ("radio", "", True),
        ("slider", "", True),
    ],
)
def test_which_types_can_be_missing(
    find: Find, one: Callable[..., RedcapProject], field_type: str, option: str, is_found: bool
) -> None:
    project = one(field_type, choices="1, One" if field_type in {"radio", "checkbox"} else "")
    options = {option: True} if option else {}
    study = [{"record_id": "1"}]
    assert places(find("missing_values", project, study, **options)) == ["1"] * is_found


def test_a_required_checkbox_needs_a_tick(find: Find, one: Callable[..., RedcapProject]) -> None:
    project = one("checkbox", choices="1, One | 2, Two", required_field="y")
    study = [
        {"record_id": "1", "x___1": "0", "x___2": "0"},
        {"record_id": "2", "x___1": "0", "x___2": "1"},
        {"record_id": "3", "x___ni": "1"},
    ]
    assert places(find("missing_required_values", project, study)) == ["1"]
    assert find("missing_required_values", project, study, requires_a_tick=False) == []


@pytest.mark.parametrize(
    ("validation", "good", "bad"),
    [
        ("integer", "12", "1.5"),
        ("number", "1e3", "1,5"),
        ("number_comma_decimal", "1,5", "1.5"),
        ("number_1dp", "2.0", "2"),
        ("number_2dp_comma_decimal", "2,05", "2,5"),
        ("date_dmy", "2024-02-29", "2023-02-29"),
        ("datetime_ymd", "2024-01-01 9:05", "2024-01-01"),
        ("time", "8:10", "24:00"),
        ("email", "a@b.org", "HelloWorld"),
        ("phone", "(405) 321-1111", "12"),
        ("zipcode", "90210", "9021"),
    ],
)
def test_a_value_of_another_format_is_invalid(
    find: Find, one: Callable[..., RedcapProject], validation: str, good: str, bad: str
) -> None:
    found = find("invalid_data_type", one(validation=validation), rows(good, bad, "", "NI", "-99"))
    assert found == [("2", "x", "Validation error")]


def test_decimals_are_exact_unless_told_otherwise(
    find: Find, one: Callable[..., RedcapProject]
) -> None:
    project = one(validation="number_2dp")
    assert places(find("invalid_data_type", project, rows("1.5"))) == ["1"]
    assert find("invalid_data_type", project, rows("1.5"), exact_decimals=False) == []


def test_an_unknown_validation_admits_any_text(
    find: Find, one: Callable[..., RedcapProject]
) -> None:
    assert find("invalid_data_type", one(validation="our_codes"), rows("anything")) == []


def test_a_hidden_field_holds_a_value(find: Find, one: Callable[..., RedcapProject]) -> None:
    project = one(branching_logic="[age] > 17")
    study = [
        {"record_id": "1", "x": "a", "age": "18"},
        {"record_id": "2", "x": "a", "age": ""},
        {"record_id": "3", "x": "NI", "age": ""},
        {"record_id": "4", "x": "", "age": ""},
    ]
    found = find("hidden_fields_with_values", project, study)
    assert found == [("2", "x", "Hidden field holds a value")]


def test_a_hidden_checkbox_has_a_tick(find: Find, one: Callable[..., RedcapProject]) -> None:
    project = one("checkbox", choices="1, One", branching_logic="[age] > 17")
    study = [{"record_id": "1", "x___1": "1"}, {"record_id": "2", "x___1": "0"}]
    assert places(find("hidden_fields_with_values", project, study)) == ["1"]


def test_hidden_calculations_are_looked_at_when_asked_for(
    find: Find, one: Callable[..., RedcapProject]
) -> None:
    project = one("calc", choices="[age] + 1", branching_logic="[age] > 17")
    study = [{"record_id": "1", "x": "2", "age": "1"}]
    assert find("hidden_fields_with_values", project, study) == []
    found = find("hidden_fields_with_values", project, study, hidden_calculations=True)
    assert places(found) == ["1"]


@pytest.mark.parametrize(
    ("field_type", "choices", "values", "wrong"),
    [
        ("radio", "1, One | 9..9, Odd", ["1", "9..9", "1000", "", "NI"], "3"),
        ("dropdown", "A, A | NI, None", ["NI", "a"], "2"),
        ("yesno", "", ["1", "0", "2", "yes"], "34"),
        ("truefalse", "", ["1", "true"], "2"),
        ("sql", "select 1", ["anything"], ""),
    ],
)
def test_a_code_that_is_no_choice_is_invalid(
    find: Find,
    one: Callable[..., RedcapProject],
    field_type: str,
    choices: str,
    values: list[str],
    wrong: str,
) -> None:
    project = one(field_type, choices=choices)
    assert places(find("invalid_choices", project, rows(*values))) == list(wrong)


def test_missing_data_codes_are_listed_and_forbidden_ones_named(
    find: Find, make_project: MakeProject, make_field: MakeField
) -> None:
    project = make_project(
        make_field("record_id"),
        make_field("a"),
        make_field("b", validation="integer", field_annotation="@NOMISSING"),
        make_field("c", "checkbox", choices="1, One"),
        **CODES,
    )
    study = [
        {"record_id": "1", "a": "NI", "b": "-99", "c___1": "0", "c___ni": "1", "c____99": "0"},
        {"record_id": "2", "a": "ni", "b": "1", "c___1": "1", "c___ni": "0", "c____99": "0"},
    ]
    assert find("missing_data_codes", project, study) == [
        ("1", "a", "Missing data code"),
        ("1", "b", "Missing data code where @NOMISSING forbids it"),
        ("1", "c", "Missing data code"),
    ]


@pytest.mark.parametrize(
    ("field", "row", "status"),
    [
        (
            {"field_type": "checkbox", "field_annotation": "@NONEOFTHEABOVE='2'"},
            {"x___1": "1", "x___2": "1"},
            "None of the above is ticked beside another choice",
        ),
        (
            {"field_type": "checkbox", "field_annotation": "@NONEOFTHEABOVE='2'"},
            {"x___1": "0", "x___2": "1"},
            None,
        ),
        (
            {"field_type": "checkbox", "field_annotation": "@MAXCHECKED='1'"},
            {"x___1": "1", "x___2": "1"},
            "More than 1 choices are ticked",
        ),
        ({"field_annotation": "@CHARLIMIT=3"}, {"x": "äöüß"}, "Longer than 3 letters"),
        ({"field_annotation": "@CHARLIMIT=4"}, {"x": "äöüß"}, None),
        ({"field_annotation": "@WORDLIMIT=2"}, {"x": " a b  c"}, "Longer than 2 words"),
        ({"field_annotation": "@WORDLIMIT=2"}, {"x": " a b "}, None),
        ({"field_annotation": "@IF([age]>1, @CHARLIMIT=1, '')"}, {"x": "long"}, None),
    ],
)
def test_what_entry_enforces_is_checked(
    find: Find,
    one: Callable[..., RedcapProject],
    field: dict[str, str],
    row: dict[str, str],
    status: str | None,
) -> None:
    choices = "1, One | 2, Two" if field.get("field_type") == "checkbox" else ""
    found = find("entry_limits", one(**field, choices=choices), [{"record_id": "1", **row}])
    assert found == ([] if status is None else [("1", "x", status)])


@pytest.mark.parametrize("tag", ["@MAXCHECKED", "@CHARLIMIT", "@WORDLIMIT"])
def test_a_limit_that_is_no_number_is_not_evaluated(
    judged: Callable[..., Any], one: Callable[..., RedcapProject], tag: str
) -> None:
    judge, _ = judged(one(field_annotation=f"{tag}='[age]'"), rows("text"))
    for rule in ("entry_limits", "readable_logic"):
        (missed,) = judge.outcome(rule, "visit").not_evaluated
        assert (missed.field, missed.reason) == (
            "x",
            f"{tag} takes a whole number, such as {tag}=3.",
        )


def test_a_choice_of_a_ranking_matrix_is_used_once(
    find: Find, make_project: MakeProject, make_field: MakeField
) -> None:
    ranked = {"choices": "1, One | 2, Two", "matrix_group_name": "m", "matrix_ranking": "y"}
    project = make_project(
        make_field("record_id"),
        make_field("a", "radio", **ranked),
        make_field("b", "radio", **ranked),
        **CODES,
    )
    study = [
        {"record_id": "1", "a": "1", "b": "2"},
        {"record_id": "2", "a": "1", "b": "1"},
        {"record_id": "3"},
        {"record_id": "4", "a": "NI", "b": "NI"},
    ]
    status = "Two fields of a ranking matrix hold the same choice"
    assert find("entry_limits", project, study) == [("2", "a", status)]


def test_logic_that_cannot_be_read_stops_its_rules_only(
    judged: Callable[..., Any], make_project: MakeProject, make_field: MakeField
) -> None:
    project = make_project(
        make_field("record_id"),
        make_field("x", validation="integer", branching_logic="[gone] = '1'"),
        make_field("y", "calc", choices="[x] + [rand-number]"),
        make_field("z", validation="date_ymd", maximum="[nowhere]"),
    )
    judge, found = judged(project, [{"record_id": "1", "x": "text", "y": "1", "z": ""}])
    assert [(row["field"], row["rule"]) for row in found] == [("x", "invalid_data_type")]
    missed = {
        (item.rule, item.field)
        for rule in (
            "missing_values",
            "hidden_fields_with_values",
            "incorrect_calculations",
            "out_of_range",
            "readable_logic",
        )
        for item in judge.outcome(rule, "visit").not_evaluated
    }
    assert missed == {
        ("missing_values", "x"),
        ("hidden_fields_with_values", "x"),
        ("incorrect_calculations", "y"),
        ("out_of_range", "z"),
        ("readable_logic", "x"),
        ("readable_logic", "y"),
        ("readable_logic", "z"),
    }
    assert not judge.outcome("hidden_fields_with_values", "visit").passed
    assert judge.outcome("invalid_choices", "visit").passed
