"""Rules D and E: values beyond their bounds, and outliers."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from redcap_dagster.project import RedcapProject
from tests.quality.conftest import Find, MakeField, MakeProject, places, rows

_LARGE = str(2**60 + 1)
_BEYOND_64_BITS = "9" * 20


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
