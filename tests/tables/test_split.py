"""A flat export falls into typed tables, and what is left over is listed."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.errors import ConservationError, TableError
from redcap_dagster.project import Choice, DictionaryField, RedcapProject
from redcap_dagster.tables import CellCount, CellLedger, SplitChunk, plan_tables, split_chunk

MakeProject = Callable[..., RedcapProject]
MakeChunk = Callable[..., pa.Table]
TWO_FORMS = {"enrolment": ["record_id", "name"], "visit": ["weight"]}


@pytest.fixture
def split(make_chunk: MakeChunk) -> Callable[..., SplitChunk]:
    """Split rows of an export of a whole study."""

    def split_rows(project: RedcapProject, *rows: dict[str, str]) -> SplitChunk:
        return split_chunk(make_chunk(project, rows), project, plan_tables(project))

    return split_rows


Split = Callable[..., SplitChunk]


def filled(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table, without their null cells."""
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in table.to_pylist()
    ]


def rejected(chunk: SplitChunk) -> list[tuple[str, ...]]:
    """Record, instrument, column, value and rule of each rejected value."""
    rows = chunk.rejected.to_pylist()
    names = ("record_id", "instrument", "field", "value", "rule")
    return [tuple(row[name] for name in names) for row in rows]


def test_a_classic_row_feeds_each_form_that_was_filled(
    make_project: MakeProject, split: Split
) -> None:
    done = split(
        make_project(TWO_FORMS),
        {"record_id": "001", "name": "Ada", "enrolment_complete": "2", "weight": "70"},
        {"record_id": "002", "redcap_data_access_group": "north", "visit_complete": "0"},
    )
    assert filled(done.tables["enrolment"]) == [
        {"record_id": "001", "name": "Ada", "enrolment_complete": 2},
        {"record_id": "002", "redcap_data_access_group": "north"},
    ]
    assert filled(done.tables["visit"]) == [
        {"record_id": "001", "weight": "70"},
        {"record_id": "002", "redcap_data_access_group": "north", "visit_complete": 0},
    ]
    assert done.rejected.num_rows == 0


def test_a_form_that_was_never_opened_has_no_row_but_the_first_keeps_the_record(
    make_project: MakeProject, split: Split
) -> None:
    done = split(make_project(TWO_FORMS), {"record_id": "1"})
    assert filled(done.tables["enrolment"]) == [{"record_id": "1"}]
    assert done.tables["visit"].num_rows == 0
    assert done.ledger.rows_without_values == 1


def test_tables_have_the_planned_schema_also_without_rows(
    make_project: MakeProject, split: Split
) -> None:
    project = make_project(TWO_FORMS)
    done = split(project)
    for spec in plan_tables(project):
        assert done.tables[spec.name].schema.equals(spec.arrow_schema, check_metadata=True)


def test_two_arms_carry_the_names_a_person_reads(make_project: MakeProject, split: Split) -> None:
    project = make_project(
        TWO_FORMS, events={"start_arm_1": ["enrolment"], "start_arm_2": ["enrolment", "visit"]}
    )
    done = split(
        project,
        {"record_id": "1", "redcap_event_name": "start_arm_1", "name": "Ada"},
        {"record_id": "2", "redcap_event_name": "start_arm_2", "name": "Bo", "weight": "9"},
    )
    assert filled(done.tables["enrolment"]) == [
        {
            "record_id": "1",
            "redcap_event_name": "start_arm_1",
            "redcap_event_label": "Start",
            "redcap_arm_number": 1,
            "redcap_arm_name": "Arm 1",
            "name": "Ada",
        },
        {
            "record_id": "2",
            "redcap_event_name": "start_arm_2",
            "redcap_event_label": "Start",
            "redcap_arm_number": 2,
            "redcap_arm_name": "Arm 2",
            "name": "Bo",
        },
    ]
    assert done.tables["visit"].column("redcap_arm_name").to_pylist() == ["Arm 2"]


def test_each_instance_of_a_repeating_form_is_a_row(
    make_project: MakeProject, split: Split
) -> None:
    project = make_project(TWO_FORMS, repeats=[(None, "visit")])
    instance = {"record_id": "1", "redcap_repeat_instrument": "visit"}
    done = split(
        project,
        {"record_id": "1", "name": "Ada"},
        {**instance, "redcap_repeat_instance": "1", "weight": "70"},
        {**instance, "redcap_repeat_instance": "3", "weight": "71"},
    )
    assert filled(done.tables["enrolment"]) == [{"record_id": "1", "name": "Ada"}]
    assert filled(done.tables["visit"]) == [
        {"record_id": "1", "redcap_form_instance": 1, "weight": "70"},
        {"record_id": "1", "redcap_form_instance": 3, "weight": "71"},
    ]


def test_a_mixed_form_numbers_each_row_in_both_ways(
    make_project: MakeProject, split: Split
) -> None:
    project = make_project(
        TWO_FORMS,
        events={"a_arm_1": ["enrolment", "visit"], "b_arm_1": ["visit"], "c_arm_1": ["visit"]},
        repeats=[("b_arm_1", "visit"), ("c_arm_1", None)],
    )
    done = split(
        project,
        {"record_id": "1", "redcap_event_name": "a_arm_1", "weight": "1"},
        {
            "record_id": "1",
            "redcap_event_name": "b_arm_1",
            "redcap_repeat_instrument": "visit",
            "redcap_repeat_instance": "2",
            "weight": "2",
        },
        {
            "record_id": "1",
            "redcap_event_name": "c_arm_1",
            "redcap_repeat_instance": "3",
            "weight": "3",
        },
    )
    visit = done.tables["visit"].select(
        ["redcap_event_name", "redcap_form_instance", "redcap_event_instance", "weight"]
    )
    assert [tuple(row.values()) for row in visit.to_pylist()] == [
        ("a_arm_1", 1, 1, "1"),
        ("b_arm_1", 2, 1, "2"),
        ("c_arm_1", 1, 3, "3"),
    ]
    assert done.rejected.num_rows == 0


def test_values_in_rows_that_are_not_the_forms_are_listed_with_the_reason(
    make_project: MakeProject, split: Split
) -> None:
    project = make_project(
        TWO_FORMS,
        events={"a_arm_1": ["enrolment"], "b_arm_1": ["visit"]},
        repeats=[("b_arm_1", "visit")],
    )
    visit = {"redcap_event_name": "b_arm_1", "redcap_repeat_instrument": "visit"}
    done = split(
        project,
        {"record_id": "1", "redcap_event_name": "a_arm_1", "weight": "1"},
        {"record_id": "2", "redcap_event_name": "b_arm_1", "weight": "2"},
        {"record_id": "3", "redcap_event_name": "gone_arm_1", "weight": "3"},
        {"record_id": "4", **visit, "redcap_repeat_instance": "x", "weight": "4"},
        {"record_id": "5", **visit, "redcap_repeat_instance": "0", "visit_complete": "0"},
        {
            "record_id": "6",
            "redcap_event_name": "b_arm_1",
            "redcap_repeat_instrument": "gone",
            "redcap_repeat_instance": "1",
            "weight": "6",
        },
        {"record_id": "7", **visit, "redcap_repeat_instance": "1", "name": "Ada"},
        {"record_id": "8", "redcap_event_name": "b_arm_1", "redcap_repeat_instance": "1"},
    )
    assert rejected(done) == [
        ("1", "visit", "weight", "1", "event_without_instrument"),
        ("2", "visit", "weight", "2", "wrong_row_kind"),
        ("3", "visit", "weight", "3", "unknown_event"),
        ("4", "visit", "weight", "4", "repeat_instance"),
        ("5", "visit", "visit_complete", "0", "repeat_instance"),
        ("6", "visit", "weight", "6", "unknown_repeat_instrument"),
        ("7", "enrolment", "name", "Ada", "event_without_instrument"),
    ]
    assert done.rejected.to_pylist()[3] == {
        "record_id": "4",
        "redcap_event_name": "b_arm_1",
        "redcap_repeat_instrument": "visit",
        "redcap_repeat_instance": "x",
        "instrument": "visit",
        "field": "weight",
        "value": "4",
        "rule": "repeat_instance",
    }


def test_what_does_not_fit_its_type_is_null_and_listed_with_its_text(
    make_project: MakeProject, split: Split
) -> None:
    fields = [
        "record_id",
        DictionaryField("age", "form", "text", validation="integer"),
        DictionaryField("day", "form", "text", validation="date_dmy"),
        DictionaryField("box", "form", "checkbox", choices=(Choice("1", "One"),)),
    ]
    done = split(
        make_project({"form": fields}),
        {"record_id": "1", "age": " 41", "day": "2023-02-28", "box___1": "0"},
        {"record_id": "2", "age": "forty", "day": "2023-02-30", "box___1": "yes"},
    )
    assert filled(done.tables["form"]) == [
        {"record_id": "1", "age": 41, "day": date(2023, 2, 28), "box___1": False},
        {"record_id": "2"},
    ]
    assert rejected(done) == [
        ("2", "form", "age", "forty", "integer"),
        ("2", "form", "day", "2023-02-30", "date"),
        ("2", "form", "box___1", "yes", "boolean"),
    ]


def test_a_rejected_value_keeps_the_blanks_around_it(
    make_project: MakeProject, split: Split
) -> None:
    fields = ["record_id", DictionaryField("age", "form", "text", validation="integer")]
    done = split(make_project({"form": fields}), {"record_id": "1", "age": " "})
    assert rejected(done) == [("1", "form", "age", " ", "integer")]


def test_missing_data_codes_move_to_the_companion_and_a_choice_of_its_own_wins(
    make_project: MakeProject, split: Split
) -> None:
    fields = [
        "record_id",
        DictionaryField("age", "form", "text", validation="integer"),
        DictionaryField("own", "form", "radio", choices=(Choice("UNK", "Unknown"),)),
        DictionaryField("many", "form", "checkbox", choices=(Choice("1", "One"),)),
    ]
    project = make_project({"form": fields}, missing_codes=["UNK", "-999"])
    done = split(
        project,
        {"record_id": "UNK", "age": "UNK", "own": "UNK", "many___unk": "1"},
        {"record_id": "2", "age": "-999", "own": "-999"},
        {"record_id": "3", "age": "unk"},
    )
    assert filled(done.tables["form"]) == [
        {"record_id": "UNK", "age__missing": "UNK", "own": "UNK", "many___unk": True},
        {"record_id": "2", "age__missing": "-999", "own__missing": "-999"},
        {"record_id": "3"},
    ]
    assert rejected(done) == [("3", "form", "age", "unk", "integer")]
    assert done.ledger.cells["age"] == CellCount(received=3, coded=2, rejected=1)


def test_a_survey_that_was_begun_has_a_reason_in_place_of_a_time(
    make_project: MakeProject, split: Split
) -> None:
    done = split(
        make_project({"form": ["record_id", "x"]}, surveys=True),
        {"record_id": "1", "form_timestamp": "2024-05-06 07:08:09", "x": "a"},
        {
            "record_id": "2",
            "redcap_survey_identifier": "p2",
            "form_timestamp": "[not completed]",
        },
    )
    assert filled(done.tables["form"]) == [
        {
            "record_id": "1",
            "form_timestamp": datetime.fromisoformat("2024-05-06T07:08:09"),
            "x": "a",
        },
        {
            "record_id": "2",
            "redcap_survey_identifier": "p2",
            "form_timestamp__missing": "[not completed]",
        },
    ]


def test_codes_that_look_like_something_else_stay_text(
    make_project: MakeProject, split: Split
) -> None:
    codes = ["NA", "None", "01", "1e5", "TRUE", "null", " "]
    done = split(
        make_project(TWO_FORMS),
        *({"record_id": f"00{number}", "name": code} for number, code in enumerate(codes)),
    )
    assert done.tables["enrolment"].column("name").to_pylist() == codes
    assert done.tables["enrolment"].column("record_id")[1].as_py() == "001"


def test_optional_columns_that_the_server_left_out_are_null(
    make_project: MakeProject, make_chunk: MakeChunk
) -> None:
    project = make_project({"form": ["record_id", "x"]}, surveys=True)
    chunk = make_chunk(project, [{"record_id": "1", "x": "a"}])
    done = split_chunk(
        chunk.select(["record_id", "x", "form_complete"]), project, plan_tables(project)
    )
    assert filled(done.tables["form"]) == [{"record_id": "1", "x": "a"}]


def test_a_column_that_is_lacking_is_refused_by_name(
    make_project: MakeProject, make_chunk: MakeChunk
) -> None:
    project = make_project(TWO_FORMS)
    chunk = make_chunk(project, [{"record_id": "1"}]).drop_columns(["weight"])
    with pytest.raises(TableError, match=r"1 are lacking \(weight\), 0 belong to no table"):
        split_chunk(chunk, project, plan_tables(project))


def test_a_column_of_no_table_is_refused(make_project: MakeProject, make_chunk: MakeChunk) -> None:
    project = make_project(TWO_FORMS)
    chunk = make_chunk(project, [{"record_id": "1"}])
    with pytest.raises(TableError, match=r"0 are lacking .*, 2 belong to no table"):
        split_chunk(chunk, project, plan_tables(project, ["enrolment"]))


def test_two_rows_of_one_key_are_refused_by_count_alone(
    make_project: MakeProject, split: Split
) -> None:
    project = make_project(TWO_FORMS, repeats=[(None, "visit")])
    instance = {"record_id": "secret", "redcap_repeat_instrument": "visit"}
    with pytest.raises(TableError, match=r"^1 rows of the export stand for the same") as caught:
        split(
            project,
            {**instance, "redcap_repeat_instance": "1", "weight": "70"},
            {**instance, "redcap_repeat_instance": "01", "weight": "70"},
        )
    assert "secret" not in str(caught.value)


def test_a_row_without_a_record_id_is_refused(make_project: MakeProject, split: Split) -> None:
    with pytest.raises(TableError, match=r"^1 rows of the export have no record id"):
        split(make_project(TWO_FORMS), {"record_id": "", "name": "Ada"})


def test_the_ledger_counts_cells_by_column(make_project: MakeProject, split: Split) -> None:
    fields = ["record_id", DictionaryField("age", "form", "text", validation="integer")]
    done = split(
        make_project({"form": fields}),
        {"record_id": "1", "age": "41", "form_complete": "0"},
        {"record_id": "2", "age": "x"},
        {"record_id": "3"},
    )
    assert done.ledger == CellLedger(
        rows=3,
        rows_without_values=1,
        structural={"record_id": 3, "redcap_data_access_group": 0},
        cells={
            "age": CellCount(received=2, typed=1, rejected=1),
            "form_complete": CellCount(received=1, typed=1),
        },
    )
    assert (done.ledger + done.ledger).total == CellCount(received=6, typed=4, rejected=2)


def test_a_lost_cell_is_named_by_column_and_count() -> None:
    ledger = CellLedger(
        rows=2,
        cells={
            "age": CellCount(received=5, typed=3, rejected=1),
            "sex": CellCount(received=1, typed=1, coded=1),
            "day": CellCount(received=1, typed=1),
        },
    )
    with pytest.raises(ConservationError, match=r"2 export columns .*: age \+1, sex -1\."):
        ledger.check()


def test_what_was_split_prints_no_values(make_project: MakeProject, split: Split) -> None:
    done = split(make_project(TWO_FORMS), {"record_id": "secret-1", "name": "secret-2"})
    assert "secret" not in repr(done)
