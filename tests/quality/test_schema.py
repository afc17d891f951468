"""The pandera schema of an instrument table."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest
from pyarrow import table as arrow_table

from redcap_dagster.errors import ConfigError, DesignError
from redcap_dagster.project import ProjectAnswers, RedcapProject, parse_project
from redcap_dagster.quality import (
    RuleFailure,
    UncompiledRule,
    build_schema,
    list_uncompiled_rules,
    validate_table,
)
from redcap_dagster.tables import plan_tables, to_pandas


def one_field(**columns: str) -> RedcapProject:
    rows = [
        {"field_name": "record_id", "form_name": "visit", "field_type": "text"},
        {"field_name": "x", "form_name": "visit", "field_type": "text", **columns},
    ]
    return parse_project(
        ProjectAnswers("14.7.3", {"project_id": 1}, rows, [{"instrument_name": "visit"}])
    )


def rules_of(schema: pa.DataFrameSchema) -> dict[str, list[str]]:
    return {
        name: [check.name for check in column.checks]
        for name, column in schema.columns.items()
        if column.checks
    }


def test_each_rule_of_the_dictionary_is_a_check_of_its_name(project: RedcapProject) -> None:
    assert rules_of(build_schema(project, "visit")) == {
        "sex": ["choices"],
        "site": ["choices"],
        "email": ["format:email"],
        "age": ["range", "range"],
        "weight": ["range"],
        "height": ["range", "range"],
        "pain": ["range", "range"],
        "born": ["range", "range"],
        "seen": ["range"],
        "left": ["range"],
        "wake": ["range", "range"],
        "sleep": ["range"],
        "breath": ["range"],
        "visit_complete": ["choices"],
    }


def test_keys_are_unique_and_never_null_and_values_may_be(project: RedcapProject) -> None:
    schema = build_schema(project, "visit")
    assert schema.unique == ["record_id"]
    required = [name for name, column in schema.columns.items() if not column.nullable]
    assert required == ["record_id"]


def test_a_valid_table_passes_pandera_itself(project: RedcapProject, frame: pd.DataFrame) -> None:
    validated = build_schema(project, "visit").validate(frame, lazy=True)
    pd.testing.assert_frame_equal(validated, frame)


def test_a_user_can_extend_a_schema(project: RedcapProject, frame: pd.DataFrame) -> None:
    schema = (
        build_schema(project, "visit")
        .add_columns({"bmi": pa.Column("Float64", pa.Check.lt(50, name="bmi_below_50"))})
        .update_column("comment", nullable=False)
    )
    extended = frame.assign(bmi=pd.array([22.0, 99.0, 50.0], dtype="Float64"))
    assert validate_table(schema, extended) == (
        RuleFailure("comment", "not_null", 1),
        RuleFailure("bmi", "bmi_below_50", 2),
    )


def test_columns_that_a_user_added_to_the_table_are_allowed(
    project: RedcapProject, frame: pd.DataFrame
) -> None:
    assert validate_table(build_schema(project, "visit"), frame.assign(mine=1)) == ()


def test_an_unknown_instrument_is_refused(project: RedcapProject) -> None:
    with pytest.raises(DesignError, match="no instrument 'gone'"):
        build_schema(project, "gone")


def test_events_are_those_that_use_the_instrument() -> None:
    project = parse_project(
        ProjectAnswers(
            "14.7.3",
            {"project_id": 1, "is_longitudinal": 1},
            [
                {"field_name": "record_id", "form_name": "visit", "field_type": "text"},
                {"field_name": "x", "form_name": "lab", "field_type": "text"},
            ],
            [{"instrument_name": "visit"}, {"instrument_name": "lab"}],
            arms=[{"arm_num": 1, "name": "One"}],
            events=[
                {"unique_event_name": "a_arm_1", "event_name": "A", "arm_num": 1},
                {"unique_event_name": "b_arm_1", "event_name": "B", "arm_num": 1},
            ],
            form_event_mappings=[
                {"unique_event_name": "a_arm_1", "form": "visit"},
                {"unique_event_name": "b_arm_1", "form": "lab"},
            ],
        )
    )
    schema = build_schema(project, "lab")
    assert schema.unique == ["record_id", "redcap_event_name"]
    (check,) = schema.columns["redcap_event_name"].checks
    assert (check.name, list(check.statistics["allowed_values"])) == ("events", ["b_arm_1"])


@pytest.mark.parametrize(
    ("columns", "rule", "reason"),
    [
        (
            {"text_validation_max": "today"},
            "range",
            "a bound is no value of the field's type",
        ),
        (
            {
                "text_validation_type_or_show_slider_number": "date_ymd",
                "text_validation_min": "[record_id",
            },
            "range",
            "a bound refers to fields and cannot be read",
        ),
        (
            {
                "text_validation_type_or_show_slider_number": "date_ymd",
                "text_validation_min": "[baseline_arm_1][dob]",
            },
            "range",
            "a bound refers to what is not in the table",
        ),
        (
            {
                "text_validation_type_or_show_slider_number": "integer",
                "text_validation_min": "ten",
            },
            "range",
            "a bound is no value of the field's type",
        ),
        ({"text_validation_min": "3"}, "range", "a bound is no value of the field's type"),
        ({"field_type": "sql"}, "choices", "the choices are the result of a query"),
        (
            {"select_choices_or_calculations": "BIOPORTAL:CTCAE"},
            "choices",
            "the choices are those of an ontology",
        ),
        (
            {"text_validation_type_or_show_slider_number": "our_own_codes"},
            "format:our_own_codes",
            "the validation type is not one of REDCap's own",
        ),
        (
            {"text_validation_type_or_show_slider_number": "number_1dp"},
            "decimals",
            "a typed number has lost how it was written",
        ),
    ],
)
def test_what_a_schema_leaves_out_is_listed(
    columns: dict[str, str], rule: str, reason: str
) -> None:
    project = one_field(**columns)
    assert list_uncompiled_rules(project, "visit") == (UncompiledRule("x", rule, reason),)
    assert "x" not in rules_of(build_schema(project, "visit"))


def frame_of(project: RedcapProject, **values: list[Any]) -> pd.DataFrame:
    """Rows of the table `visit`, typed; what is not given is null."""
    (spec,) = plan_tables(project, ["visit"])
    count = len(next(iter(values.values())))
    given = {"record_id": [str(number) for number in range(count)]} | values
    columns = [given.get(column.name, [None] * count) for column in spec.columns]
    return to_pandas(arrow_table(columns, schema=spec.arrow_schema))


@pytest.mark.parametrize(
    ("validation", "bound", "values", "outside"),
    [
        ("date_ymd", "today", [date(2024, 6, 15), date(2024, 6, 16), None], 1),
        ("date_ymd", "now", [date(2024, 6, 15), date(2024, 6, 16)], 1),
        ("datetime_ymd", "today", [pd.Timestamp(2024, 6, 15, 23), pd.Timestamp(2024, 6, 16)], 1),
        (
            "datetime_ymd",
            "now",
            [pd.Timestamp("2024-06-15 11:00")],
            1,
        ),
        ("time", "now", [time(9), time(11)], 1),
    ],
)
def test_today_and_now_bound_by_the_day_given(
    validation: str, bound: str, values: list[Any], outside: int
) -> None:
    project = one_field(
        text_validation_type_or_show_slider_number=validation, text_validation_max=bound
    )
    as_of = pd.Timestamp("2024-06-15 10:00")
    schema = build_schema(project, "visit", as_of=as_of)
    assert validate_table(schema, frame_of(project, x=values)) == (
        RuleFailure("x", "range", outside),
    )
    assert list_uncompiled_rules(project, "visit") == ()


def test_without_a_day_given_today_is_when_the_schema_validates() -> None:
    project = one_field(
        text_validation_type_or_show_slider_number="date_ymd",
        text_validation_min="2020-01-01",
        text_validation_max="today",
    )
    today = pd.Timestamp.now().date()
    frame = frame_of(project, x=[today, today + timedelta(days=2), date(2019, 1, 1)])
    assert validate_table(build_schema(project, "visit"), frame) == (RuleFailure("x", "range", 2),)


@pytest.mark.parametrize("validation", ["integer", "number", "number_comma_decimal"])
def test_no_day_bounds_a_number(validation: str) -> None:
    project = one_field(
        text_validation_type_or_show_slider_number=validation, text_validation_max="today"
    )
    frame = frame_of(project, x=[1, 20_000, None])
    assert validate_table(build_schema(project, "visit"), frame) == ()
    (uncompiled,) = list_uncompiled_rules(project, "visit")
    assert (uncompiled.column, uncompiled.rule) == ("x", "range")


def test_a_bound_that_is_a_field_of_the_table_is_a_check_of_rows() -> None:
    dates = {"field_type": "text", "text_validation_type_or_show_slider_number": "date_ymd"}
    project = one_field(**dates, text_validation_min="[begun]")
    rows = [*project.instruments[0].fields, replace(project.fields_by_name["x"], name="begun")]
    rows[-1] = replace(rows[-1], minimum="")
    project = replace(project, instruments=(replace(project.instruments[0], fields=tuple(rows)),))
    day, later = date(2024, 1, 1), date(2024, 1, 2)
    frame = frame_of(project, x=[day, later, day, None], begun=[later, day, None, day])
    schema = build_schema(project, "visit")
    assert validate_table(schema, frame) == (RuleFailure(None, "range:x", 1),)
    assert list_uncompiled_rules(project, "visit") == ()


def test_a_date_and_a_moment_are_compared_by_whole_days() -> None:
    project = one_field(text_validation_type_or_show_slider_number="date_ymd")
    record_id, day = project.instruments[0].fields
    fields = (
        record_id,
        replace(day, minimum="[begun]"),
        replace(day, name="begun", validation="datetime_ymd", maximum="[until]"),
        replace(day, name="until", validation="date_dmy"),
    )
    project = replace(project, instruments=(replace(project.instruments[0], fields=fields),))
    frame = frame_of(
        project,
        x=[date(2024, 1, 1), date(2023, 12, 31), None],
        begun=[pd.Timestamp(2024, 1, 1, 10), pd.Timestamp(2024, 1, 1, 10), None],
        until=[date(2024, 1, 1), date(2024, 1, 1), None],
    )
    assert validate_table(build_schema(project, "visit"), frame) == (
        RuleFailure(None, "range:x", 1),
    )


def test_a_moment_with_a_time_zone_is_refused(project: RedcapProject) -> None:
    with pytest.raises(ConfigError, match="the study's own time"):
        build_schema(project, "visit", as_of=datetime(2024, 6, 15, tzinfo=timezone.utc))


def test_decimals_are_checked_when_asked_for() -> None:
    project = one_field(text_validation_type_or_show_slider_number="number_2dp")
    frame = frame_of(project, x=[0.07, 1.5, 1.005, None])
    assert validate_table(build_schema(project, "visit"), frame) == ()
    schema = build_schema(project, "visit", decimals=True)
    assert validate_table(schema, frame) == (RuleFailure("x", "decimals", 1),)


def test_a_minimum_above_the_maximum_admits_nothing() -> None:
    project = one_field(
        text_validation_type_or_show_slider_number="integer",
        text_validation_min="9",
        text_validation_max="1",
    )
    frame = pd.DataFrame(
        {
            "record_id": pd.array(["1", "2"], dtype="string"),
            "redcap_data_access_group": pd.array([None, None], dtype="string"),
            "x": pd.array([0, 10], dtype="Int64"),
            "visit_complete": pd.array([2, 2], dtype="Int64"),
        }
    )
    assert validate_table(build_schema(project, "visit"), frame) == (RuleFailure("x", "range", 2),)
