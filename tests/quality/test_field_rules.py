"""Each of REDCap's data-quality rules on cells made for it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from redcap_dagster.project import RedcapProject

Find = Callable[..., list[tuple[str, str | None, str]]]
MakeProject = Callable[..., RedcapProject]
MakeField = Callable[..., dict[str, Any]]
CODES = {"info": {"missing_data_codes": "NI, No information | -99, Not asked"}}


@pytest.fixture
def one(make_project: MakeProject, make_field: MakeField) -> Callable[..., RedcapProject]:
    """A project of a record id, a controlling `age`, and one field `x`, with missing data codes."""

    def make(field_type: str = "text", **columns: str) -> RedcapProject:
        return make_project(
            make_field("record_id"),
            make_field("age", validation="number"),
            make_field("x", field_type, **columns),
            **CODES,
        )

    return make


def rows(*values: str, **others: str) -> list[dict[str, str]]:
    """A row for each value of `x`, records numbered from 1."""
    return [
        {"record_id": str(number), "x": value, **others}
        for number, value in enumerate(values, start=1)
    ]


def places(found: list[tuple[str, str | None, str]], field: str = "x") -> list[str]:
    """The records in which something is wrong with a field."""
    return [record for record, name, _ in found if name == field]


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


@pytest.mark.parametrize(
    ("columns", "values", "outside"),
    [
        ({"validation": "integer", "minimum": "2", "maximum": "4"}, ["1", "2", "4", "5"], "14"),
        ({"validation": "number_1dp_comma_decimal", "maximum": "1,5"}, ["1,5", "1,6"], "2"),
        ({"validation": "date_mdy", "maximum": "today"}, ["2024-06-15", "2024-06-16"], "2"),
        ({"validation": "datetime_ymd", "maximum": "today"}, ["2024-06-15 23:59"], ""),
        ({"validation": "datetime_ymd", "minimum": "today"}, ["2024-06-14 23:59"], "1"),
        ({"validation": "time", "minimum": "8:00"}, ["07:59", "08:00", "9:00"], "1"),
        ({"field_type": "slider"}, ["-1", "0", "100", "101"], "14"),
        ({"validation": "integer", "minimum": "2"}, ["-99", "NI", "", "text"], ""),
    ],
)
def test_values_beyond_the_bounds_are_out_of_range(
    find: Find,
    one: Callable[..., RedcapProject],
    columns: dict[str, str],
    values: list[str],
    outside: str,
) -> None:
    assert places(find("out_of_range", one(**columns), rows(*values))) == list(outside)


def test_a_bound_can_be_another_field(find: Find, one: Callable[..., RedcapProject]) -> None:
    project = one(validation="number", minimum="[age]")
    study = [
        {"record_id": "1", "x": "9.5", "age": "10"},
        {"record_id": "2", "x": "10", "age": "9.5"},
        {"record_id": "3", "x": "1", "age": ""},
    ]
    assert places(find("out_of_range", project, study)) == ["1"]


@pytest.mark.parametrize(
    ("bound_format", "bound", "own_format", "values"),
    [
        (
            "datetime_seconds_ymd",
            "2024-03-02 10:00:30",
            "datetime_dmy",
            ["2024-03-02 10:00", "2024-03-02 10:01"],
        ),
        (
            "datetime_ymd",
            "2024-03-02 10:00",
            "datetime_seconds_mdy",
            ["2024-03-02 9:59:59", "2024-03-02 10:00:01"],
        ),
        ("time_hh_mm_ss", "9:00:30", "time", ["9:00", "09:01"]),
        ("time", "9:00", "time_hh_mm_ss", ["09:00:00", "9:00:01"]),
    ],
)
def test_a_bound_may_be_written_with_seconds_or_without(
    find: Find,
    make_project: MakeProject,
    make_field: MakeField,
    bound_format: str,
    bound: str,
    own_format: str,
    values: list[str],
) -> None:
    project = make_project(
        make_field("record_id"),
        make_field("until", validation=bound_format),
        make_field("x", validation=own_format, maximum="[until]"),
    )
    assert places(find("out_of_range", project, rows(*values, until=bound))) == ["2"]


def test_now_has_seconds(find: Find, one: Callable[..., RedcapProject]) -> None:
    project = one(validation="time_hh_mm_ss", maximum="now")
    values = rows("10:00:30", "10:00:31")
    as_of = datetime(2024, 6, 15, 10, 0, 30)  # noqa: DTZ001 - REDCap has no zones
    assert places(find("out_of_range", project, values, as_of=as_of)) == ["2"]


def test_a_missing_data_code_is_no_bound(find: Find, one: Callable[..., RedcapProject]) -> None:
    study = [
        {"record_id": "1", "x": "5", "age": "-99"},
        {"record_id": "2", "x": "5", "age": "4"},
        {"record_id": "3", "x": "5", "age": "NI"},
    ]
    for bound in ("[age]", "[age] + 0"):
        project = one(validation="integer", maximum=bound)
        assert places(find("out_of_range", project, study)) == ["2"]


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


_LARGE = str(2**60 + 1)
_BEYOND_64_BITS = "9" * 20


@pytest.mark.parametrize(
    ("bounds", "values", "outside"),
    [
        ({"maximum": _BEYOND_64_BITS}, ["5", _LARGE], []),
        ({"minimum": _BEYOND_64_BITS}, ["5", _LARGE], ["1", "2"]),
        ({"maximum": f"-{_BEYOND_64_BITS}"}, ["5", _LARGE], ["1", "2"]),
        ({"maximum": "10.5"}, ["5", _LARGE], ["2"]),
        ({"maximum": "[age]"}, ["5", _LARGE], ["2"]),
    ],
)
def test_large_numbers_are_judged_and_stop_nothing(
    find: Find,
    one: Callable[..., RedcapProject],
    bounds: dict[str, str],
    values: list[str],
    outside: list[str],
) -> None:
    project = one(validation="integer", **bounds)
    assert places(find("out_of_range", project, rows(*values, age="10"))) == outside
    many = rows(*[_LARGE] * 6, "5")
    assert places(find("outliers", one(validation="integer"), many)) == ["7"]


@pytest.mark.parametrize("bound", ["nan", "inf", "1_0", "1e999", "today", "now"])
def test_a_bound_that_is_no_number_is_not_evaluated(
    judged: Callable[..., Any], one: Callable[..., RedcapProject], bound: str
) -> None:
    judge, _ = judged(one(validation="number", maximum=bound), rows("15"))
    for rule in ("out_of_range", "readable_logic"):
        (missed,) = judge.outcome(rule, "visit").not_evaluated
        assert (missed.field, missed.reason) == ("x", "A bound is no value of the field's type.")


def test_outliers_are_far_from_the_mean(find: Find, one: Callable[..., RedcapProject]) -> None:
    values = ["10"] * 6 + ["50", "NI", "", "text"]
    assert places(find("outliers", one(validation="integer"), rows(*values))) == ["7"]
    assert find("outliers", one(validation="integer"), rows(*values), outlier_multiplier=3) == []
    assert find("outliers", one(validation="number_1dp"), rows("1.0", *["2.0"] * 6)) == []
    options = {"outliers_with_decimal_places": True}
    found = find("outliers", one(validation="number_1dp"), rows("1.0", *["2.0"] * 6), **options)
    assert places(found) == ["1"]


def test_the_median_is_not_moved_by_what_it_judges(
    find: Find, one: Callable[..., RedcapProject]
) -> None:
    values = ["9", "10", "11", "10", "9", "500", "500"]
    project = one(validation="number")
    assert find("outliers", project, rows(*values)) == []
    assert places(find("outliers", project, rows(*values), outlier_method="median")) == ["6", "7"]


@pytest.mark.parametrize("values", [["1", "9"], ["5", "5", "5"], []])
def test_too_few_or_equal_numbers_have_no_outliers(
    find: Find, one: Callable[..., RedcapProject], values: list[str]
) -> None:
    assert find("outliers", one(validation="integer"), rows(*values)) == []


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
