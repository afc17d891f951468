"""The tables of a study, planned from its design alone."""

import json
from collections.abc import Callable

import pyarrow as pa
import pytest

from redcap_dagster.errors import DesignError
from redcap_dagster.project import Choice, DictionaryField, RedcapProject
from redcap_dagster.tables import (
    Placement,
    format_layout,
    plan_records_table,
    plan_rejected_values_table,
    plan_tables,
)

MakeProject = Callable[..., RedcapProject]
TWO_FORMS = {"enrolment": ["record_id", "name"], "visit": ["weight"]}


def test_a_classic_study_has_one_row_per_record(make_project: MakeProject) -> None:
    enrolment, visit = plan_tables(make_project(TWO_FORMS))
    assert (enrolment.key_columns, visit.key_columns) == (("record_id",), ("record_id",))
    assert list(enrolment.columns_by_name) == [
        "record_id",
        "redcap_data_access_group",
        "name",
        "enrolment_complete",
    ]
    assert enrolment.structure == visit.structure == "nonrepeating"
    assert visit.placements == (Placement(None, "ordinary"),)
    assert (enrolment.holds_record_id, visit.holds_record_id) == (True, False)


def test_a_repeating_form_adds_its_instance_to_the_key(make_project: MakeProject) -> None:
    _, visit = plan_tables(make_project(TWO_FORMS, repeats=[(None, "visit")]))
    assert visit.key_columns == ("record_id", "redcap_form_instance")
    assert visit.structure == "repeating"
    assert visit.placements == (Placement(None, "repeating_form"),)


def test_events_add_their_name_to_the_key_and_what_a_person_reads(
    make_project: MakeProject,
) -> None:
    project = make_project(TWO_FORMS, events={"start_arm_1": ["enrolment", "visit"]})
    enrolment, _ = plan_tables(project)
    assert enrolment.key_columns == ("record_id", "redcap_event_name")
    assert list(enrolment.columns_by_name)[2:5] == [
        "redcap_event_label",
        "redcap_arm_number",
        "redcap_arm_name",
    ]


def test_the_same_form_may_be_ordinary_repeat_itself_or_sit_in_a_repeating_event(
    make_project: MakeProject,
) -> None:
    project = make_project(
        TWO_FORMS,
        events={
            "start_arm_1": ["enrolment", "visit"],
            "follow_arm_1": ["visit"],
            "extra_arm_1": ["visit"],
        },
        repeats=[("follow_arm_1", "visit"), ("extra_arm_1", None)],
    )
    enrolment, visit = plan_tables(project)
    assert enrolment.structure == "nonrepeating"
    assert visit.structure == "mixed"
    assert visit.key_columns == (
        "record_id",
        "redcap_event_name",
        "redcap_form_instance",
        "redcap_event_instance",
    )
    assert visit.placements == (
        Placement("start_arm_1", "ordinary"),
        Placement("follow_arm_1", "repeating_form"),
        Placement("extra_arm_1", "repeating_event"),
    )


def test_a_form_that_no_event_uses_has_a_table_and_no_placement(make_project: MakeProject) -> None:
    _, visit = plan_tables(make_project(TWO_FORMS, events={"start_arm_1": ["enrolment"]}))
    assert visit.placements == ()
    assert visit.key_columns == ("record_id", "redcap_event_name")


def test_a_study_of_nothing_but_ids_has_a_table_of_ids_and_status(
    make_project: MakeProject,
) -> None:
    (only,) = plan_tables(make_project({"enrolment": ["record_id"]}))
    assert list(only.columns_by_name) == [
        "record_id",
        "redcap_data_access_group",
        "enrolment_complete",
    ]


def test_a_form_without_fields_has_its_status(make_project: MakeProject) -> None:
    _, empty = plan_tables(make_project({"enrolment": ["record_id"], "empty": []}))
    assert list(empty.columns_by_name)[-1] == "empty_complete"


def test_each_kind_of_field_has_its_arrow_type(make_project: MakeProject) -> None:
    choices = (Choice("1", "One"), Choice("-9", "Other"))
    fields = [
        DictionaryField("record_id", "form", "text", validation="integer"),
        DictionaryField("whole", "form", "text", validation="integer"),
        DictionaryField("part", "form", "text", validation="number_1dp_comma_decimal"),
        DictionaryField("sum", "form", "calc"),
        DictionaryField("day", "form", "text", validation="date_mdy"),
        DictionaryField("moment", "form", "text", validation="datetime_seconds_dmy"),
        DictionaryField("clock", "form", "text", validation="time"),
        DictionaryField("yes", "form", "yesno"),
        DictionaryField("one", "form", "radio", choices=choices),
        DictionaryField("many", "form", "checkbox", choices=choices),
        DictionaryField("scale", "form", "slider"),
        DictionaryField("scan", "form", "file"),
        DictionaryField("words", "form", "descriptive"),
        DictionaryField("query", "form", "sql"),
    ]
    (table,) = plan_tables(make_project({"form": fields}))
    assert {item.name: str(item.arrow_type) for item in table.columns} == {
        "record_id": "string",
        "redcap_data_access_group": "string",
        "whole": "int64",
        "part": "double",
        "sum": "double",
        "day": "date32[day]",
        "moment": "timestamp[ms]",
        "clock": "time32[ms]",
        "yes": "bool",
        "one": "string",
        "many___1": "bool",
        "many____9": "bool",
        "scale": "int64",
        "scan": "string",
        "query": "string",
        "form_complete": "int64",
    }


def test_missing_data_codes_give_each_value_a_companion_and_each_checkbox_a_column(
    make_project: MakeProject,
) -> None:
    fields = [
        "record_id",
        DictionaryField("age", "form", "text", validation="integer"),
        DictionaryField("own", "form", "radio", choices=(Choice("UNK", "Unknown"),)),
        DictionaryField("many", "form", "checkbox", choices=(Choice("1", "One"),)),
    ]
    (table,) = plan_tables(make_project({"form": fields}, missing_codes=["UNK", "NI"]))
    assert list(table.columns_by_name)[2:] == [
        "age",
        "age__missing",
        "own",
        "own__missing",
        "many___1",
        "many___unk",
        "many___ni",
        "form_complete",
    ]
    codes = {item.name: item.missing_codes for item in table.columns if item.missing_codes}
    assert codes == {"age": ("UNK", "NI"), "own": ("NI",)}


def test_a_survey_study_has_the_participant_and_the_time_of_each_survey(
    make_project: MakeProject,
) -> None:
    (table,) = plan_tables(make_project({"form": ["record_id", "x"]}, surveys=True))
    assert list(table.columns_by_name) == [
        "record_id",
        "redcap_data_access_group",
        "redcap_survey_identifier",
        "form_timestamp",
        "form_timestamp__missing",
        "x",
        "form_complete",
    ]


def test_the_dictionary_travels_with_the_column(make_project: MakeProject) -> None:
    field = DictionaryField(
        "sex",
        "form",
        "radio",
        label="Sex at birth",
        choices=(Choice("1", "Female"), Choice("2", "Male")),
        note="as told",
        is_identifier=True,
        is_required=True,
    )
    (table,) = plan_tables(make_project({"form": ["record_id", field]}))
    found = table.arrow_schema.field("sex").metadata
    assert found == {
        b"redcap.role": b"value",
        b"redcap.description": b"Sex at birth",
        b"redcap.export_column": b"sex",
        b"redcap.instrument": b"form",
        b"redcap.field": b"sex",
        b"redcap.field_type": b"radio",
        b"redcap.label": b"Sex at birth",
        b"redcap.choices": json.dumps([["1", "Female"], ["2", "Male"]]).encode(),
        b"redcap.note": b"as told",
        b"redcap.identifier": b"y",
        b"redcap.required": b"y",
    }


def test_every_column_of_the_raw_export_says_what_it_holds(make_project: MakeProject) -> None:
    project = make_project(
        TWO_FORMS,
        surveys=True,
        events={"e_arm_1": ["enrolment", "visit"]},
        repeats=[("e_arm_1", "visit")],
    )
    columns = plan_records_table(project).columns_by_name
    told = {name: column.description for name, column in columns.items()}
    assert told["redcap_repeat_instrument"].startswith("Unique name of the instrument")
    assert told["redcap_data_access_group"].endswith("blank where it is in none")
    of_no_field = [name for name, column in columns.items() if column.field is None]
    assert [name for name in of_no_field if not told[name]] == []


def test_only_the_key_may_not_be_null(make_project: MakeProject) -> None:
    (table,) = plan_tables(make_project({"form": ["record_id", "x"]}, repeats=[(None, "form")]))
    assert [item.name for item in table.arrow_schema if not item.nullable] == [
        "record_id",
        "redcap_form_instance",
    ]


def test_one_instrument_alone_is_planned_as_among_all(make_project: MakeProject) -> None:
    project = make_project(TWO_FORMS)
    assert plan_tables(project, ["visit"]) == plan_tables(project)[1:]


def test_an_unknown_instrument_is_refused_by_name(make_project: MakeProject) -> None:
    with pytest.raises(DesignError, match="nowhere"):
        plan_tables(make_project(TWO_FORMS), ["nowhere"])


def test_an_instrument_named_as_a_table_of_the_study_gets_another_name(
    make_project: MakeProject,
) -> None:
    tables = plan_tables(make_project({"enrolment": ["record_id"], "users": ["x"]}))
    assert [(spec.name, spec.instrument) for spec in tables] == [
        ("enrolment", "enrolment"),
        ("users_instrument", "users"),
    ]


def test_two_tables_of_one_name_are_refused(make_project: MakeProject) -> None:
    forms = {"enrolment": ["record_id"], "users": ["x"], "users_instrument": ["y"]}
    with pytest.raises(DesignError, match="users_instrument"):
        plan_tables(make_project(forms))


def test_a_field_named_as_a_column_of_ours_is_refused(make_project: MakeProject) -> None:
    project = make_project(
        {"form": ["record_id", "redcap_form_instance"]}, repeats=[(None, "form")]
    )
    with pytest.raises(DesignError, match="redcap_form_instance"):
        plan_tables(project)


def test_the_raw_table_has_every_column_of_the_export_as_text(make_project: MakeProject) -> None:
    project = make_project(
        TWO_FORMS, events={"start_arm_1": ["enrolment"]}, repeats=[("start_arm_1", "enrolment")]
    )
    spec = plan_records_table(project)
    assert spec.key_columns == (
        "record_id",
        "redcap_event_name",
        "redcap_repeat_instrument",
        "redcap_repeat_instance",
    )
    assert list(spec.columns_by_name) == [
        *spec.key_columns,
        "redcap_data_access_group",
        "name",
        "enrolment_complete",
        "weight",
        "visit_complete",
    ]
    assert {item.arrow_type for item in spec.columns} == {pa.string()}


def test_rejected_values_are_named_by_the_record_id_unless_it_is_one_of_their_own(
    make_project: MakeProject,
) -> None:
    own = plan_rejected_values_table(make_project({"form": ["study_id"]}))
    assert list(own.columns_by_name) == [
        "study_id",
        "redcap_event_name",
        "redcap_repeat_instrument",
        "redcap_repeat_instance",
        "instrument",
        "field",
        "value",
        "rule",
    ]
    shared = plan_rejected_values_table(make_project({"form": ["value"]}))
    assert next(iter(shared.columns_by_name)) == "record_id"


def test_the_layout_can_be_printed(make_project: MakeProject) -> None:
    text = format_layout(plan_tables(make_project({"form": ["record_id", "x"]})))
    assert text == (
        "form: nonrepeating, key record_id\n"
        "    record_id                 string        record_id\n"
        "    redcap_data_access_group  string        data_access_group\n"
        "    x                         string        value\n"
        "    form_complete             int64         form_status"
    )
