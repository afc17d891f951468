"""De-identification of Arrow tables: what goes, what stays, what joins."""

from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.errors import ConfigError
from redcap_dagster.privacy import DeidentificationOptions, Deidentifier, Pseudonyms, Treatments
from redcap_dagster.project import (
    Choice,
    DictionaryField,
    Instrument,
    MissingDataCode,
    ProjectInfo,
    RedcapProject,
)
from redcap_dagster.tables import (
    NOT_COMPLETED,
    RECORDS,
    REJECTED_VALUES,
    TableOptions,
    plan_records_table,
    plan_rejected_values_table,
    plan_tables,
    split_chunk,
)

KEY = b"0123456789abcdef0123456789abcdef"
FORM = "visit"


def _field(
    name: str, field_type: Any = "text", validation: str = "", **more: Any
) -> DictionaryField:
    return DictionaryField(name, FORM, field_type, name.title(), validation=validation, **more)


FIELDS = (
    _field("record_id"),
    _field("surname", is_identifier=True),
    _field("born", validation="date_dmy", is_identifier=True),
    _field("hospital_number", validation="integer"),
    _field("seen", validation="date_ymd"),
    _field("sampled", validation="datetime_seconds_mdy"),
    _field("called", validation="datetime_ymd"),
    _field("at", validation="time"),
    _field("weight", validation="number"),
    _field("sex", "radio", choices=(Choice("1", "Female"), Choice("2", "Male"))),
    _field("race", "checkbox", choices=(Choice("1", "One"), Choice("2", "Two"))),
    _field("remarks", "notes"),
    _field("mail", validation="email"),
    _field("scan", "file"),
    _field("ward", "sql"),
)
PROJECT = RedcapProject(
    info=ProjectInfo(
        project_id=1,
        title="Study",
        is_longitudinal=False,
        has_repeating=False,
        surveys_enabled=True,
        secondary_unique_field="hospital_number",
        missing_data_codes=(MissingDataCode("-99", "Not done"),),
    ),
    redcap_version="14.7.3",
    instruments=(Instrument(FORM, "Visit", FIELDS),),
)
ROW = {
    "record_id": "A-1",
    "redcap_survey_identifier": "jane@example.org",
    "redcap_data_access_group": "north",
    "visit_timestamp": "2026-03-01 10:00:05",
    "surname": "Doe",
    "born": "1980-02-29",
    "hospital_number": "4711",
    "seen": "2026-03-01",
    "sampled": "2026-03-02 08:15:30",
    "called": "2026-03-03 8:15",
    "at": "08:20",
    "weight": "61.5",
    "sex": "1",
    "race___1": "1",
    "race___2": "0",
    "remarks": "Lives next door",
    "mail": "jane@example.org",
    "scan": "jane.pdf",
    "ward": "North 3",
    "visit_complete": "2",
}


def deidentifier(**options: Any) -> Deidentifier:
    """One that knows every table of the study."""
    specs = (
        *plan_tables(PROJECT),
        plan_records_table(PROJECT),
        plan_rejected_values_table(PROJECT),
    )
    return Deidentifier(PROJECT, specs, DeidentificationOptions(**options), KEY)


def exported(*rows: dict[str, str]) -> pa.Table:
    """A flat export of rows like the first one, changed."""
    spec = plan_records_table(PROJECT)
    cells = [{**dict.fromkeys(spec.columns_by_name, ""), **ROW, **row} for row in rows]
    return pa.Table.from_pylist(cells, schema=spec.arrow_schema)


def hidden(name: str, *rows: dict[str, str], **options: Any) -> list[dict[str, Any]]:
    """A table of an export, de-identified."""
    export = exported(*rows)
    split = split_chunk(export, PROJECT, plan_tables(PROJECT))
    made = {**split.tables, RECORDS: export, REJECTED_VALUES: split.rejected}
    rows_written: list[dict[str, Any]] = deidentifier(**options).hide(name, made[name]).to_pylist()
    return rows_written


def days_of(record_id: str) -> int:
    days = Pseudonyms(KEY, 364).shift_days(pa.array([record_id]))
    return int(days[0].as_py())


def test_what_can_name_a_person_is_left_out_of_the_raw_export() -> None:
    (row,) = hidden(RECORDS, {})
    days = timedelta(days=days_of("A-1"))
    assert {name: cell for name, cell in row.items() if "___" not in name} == {
        "record_id": Pseudonyms(KEY, 364).of("A-1"),
        "redcap_data_access_group": "north",
        "visit_timestamp": str(datetime.fromisoformat("2026-03-01 10:00:05") - days),
        "seen": str(date(2026, 3, 1) - days),
        "sampled": str(datetime.fromisoformat("2026-03-02 08:15:30") - days),
        "called": str(datetime.fromisoformat("2026-03-03 08:15") - days)[:16],
        "at": "08:20",
        "weight": "61.5",
        "sex": "1",
        "visit_complete": "2",
    }
    assert (row["race___1"], row["race___2"]) == ("1", "0")


def test_typed_tables_and_the_raw_export_agree() -> None:
    (typed,) = hidden(FORM, {})
    (raw,) = hidden(RECORDS, {})
    assert typed["record_id"] == raw["record_id"]
    assert str(typed["seen"]) == raw["seen"]
    assert str(typed["sampled"]) == raw["sampled"]
    assert str(typed["visit_timestamp"]) == raw["visit_timestamp"]
    gone = {"surname", "born", "hospital_number", "remarks", "mail", "scan", "ward"}
    gone |= {f"{name}__missing" for name in gone} | {"redcap_survey_identifier"}
    assert not gone & typed.keys()
    assert typed.keys() == set(
        deidentifier().published_spec(plan_tables(PROJECT)[0]).columns_by_name
    )


def test_intervals_within_a_record_are_kept_and_records_move_by_their_own_days() -> None:
    rows = [{"record_id": f"A-{number}"} for number in range(40)]
    typed = hidden(FORM, *rows)
    assert {row["sampled"].date() - row["seen"] for row in typed} == {timedelta(days=1)}
    moved = {(date(2026, 3, 1) - row["seen"]).days for row in typed}
    assert len(moved) > 20
    assert min(moved) >= 1
    assert max(moved) <= 364
    near = hidden(FORM, *rows, longest_shift_days=2)
    assert {(date(2026, 3, 1) - row["seen"]).days for row in near} == {1, 2}


def test_what_does_not_fit_its_field_leaks_nowhere() -> None:
    misfit = {
        "seen": "first of March 2026",
        "weight": "61, says Jane",
        "sex": "Jane",
        "at": "when Jane came",
        "surname": "Jane",
        "race___1": "Jane",
        "race____99": "Jane",
        "visit_complete": "Jane",
    }
    assert "Jane" not in str(hidden(RECORDS, misfit) + hidden(FORM, misfit))
    assert "March" not in str(hidden(RECORDS, misfit) + hidden(FORM, misfit))
    rejected = hidden(REJECTED_VALUES, misfit)
    assert {row["field"] for row in rejected} == {
        "seen",
        "weight",
        "at",
        "race___1",
        "race____99",
        "visit_complete",
    }
    assert all("value" not in row for row in rejected)
    (open_row,) = [
        row
        for row in hidden(REJECTED_VALUES, misfit, drop_free_text=False, shift_dates=False)
        if row["field"] == "weight"
    ]
    assert open_row["value"] == "61, says Jane"


@pytest.mark.parametrize(
    ("column", "fitting", "others"),
    [
        ("race___1", ["0", "1", ""], ["2", "yes"]),
        ("race____99", ["0", "1", ""], ["2", "yes"]),
        ("visit_complete", ["0", "1", "2", ""], ["3", "-1", "4711", "2.0"]),
    ],
)
def test_ticks_and_form_statuses_are_what_redcap_writes_or_blank(
    column: str, fitting: list[str], others: list[str]
) -> None:
    sent = [
        {"record_id": str(number), column: cell} for number, cell in enumerate([*fitting, *others])
    ]
    rows = hidden(RECORDS, *sent)
    assert [row[column] for row in rows] == [*fitting, *[""] * len(others)]
    assert [row[column] for row in hidden(FORM, *sent)][len(fitting) :] == [None] * len(others)
    rows = hidden(RECORDS, *sent, drop_free_text=False)
    assert [row[column] for row in rows] == [*fitting, *others]


def test_blanks_codes_and_columns_that_were_not_sent_stay_what_they_are() -> None:
    row = {"seen": "-99", "weight": "-99", "sampled": "", "visit_timestamp": NOT_COMPLETED}
    (raw,) = hidden(RECORDS, row)
    assert {name: raw[name] for name in row} == row
    (typed,) = hidden(FORM, row)
    assert (typed["seen"], typed["seen__missing"]) == (None, "-99")
    assert (typed["visit_timestamp"], typed["visit_timestamp__missing"]) == (None, NOT_COMPLETED)
    export = exported(ROW)
    number = export.column_names.index("visit_timestamp")
    export = export.set_column(number, export.field(number), pa.nulls(1, pa.string()))
    assert deidentifier().hide(RECORDS, export)["visit_timestamp"].to_pylist() == [None]


def test_an_export_without_rows_has_its_columns() -> None:
    export = exported().slice(0, 0)
    written = deidentifier().hide(RECORDS, export)
    spec = deidentifier().published_spec(plan_records_table(PROJECT))
    assert written.schema.equals(spec.arrow_schema, check_metadata=True)


def test_a_date_that_would_come_before_the_calendar_is_blank() -> None:
    assert hidden(FORM, {"seen": "0001-01-01"})[0]["seen"] is None
    assert hidden(RECORDS, {"seen": "0001-01-01"})[0]["seen"] == ""


def test_each_part_can_be_left_out() -> None:
    off = {
        "drop_identifiers": False,
        "drop_free_text": False,
        "pseudonymize_record_ids": False,
        "shift_dates": False,
    }
    assert hidden(RECORDS, {}, **off) == exported(ROW).to_pylist()
    (row,) = hidden(RECORDS, {}, **{**off, "drop_identifiers": True})
    assert exported(ROW).to_pylist()[0].keys() - row.keys() == {
        "redcap_survey_identifier",
        "surname",
        "born",
        "hospital_number",
    }


def test_a_study_keeps_and_drops_fields_by_name() -> None:
    (row,) = hidden(RECORDS, {}, keep=["born", "remarks"], drop=["weight", "race"])
    assert date.fromisoformat(row["born"]) == date(1980, 2, 29) - timedelta(days=days_of("A-1"))
    assert row["remarks"] == "Lives next door"
    assert not {"weight", "race___1", "race___2", "surname"} & row.keys()


def test_labels_and_lists_of_a_dropped_field_go_with_it() -> None:
    options = TableOptions(choices="both", checkboxes="list")
    (spec,) = plan_tables(PROJECT, options=options)
    treatments = Treatments(PROJECT, DeidentificationOptions(drop=["sex", "race"]))
    left = treatments.published_spec(spec).columns_by_name
    assert [name for name in left if name.startswith(("sex", "race"))] == []


def test_rows_that_were_written_are_judged_with_their_own_record_ids() -> None:
    screen = deidentifier()
    written = screen.hide(
        FORM, split_chunk(exported(ROW), PROJECT, plan_tables(PROJECT)).tables[FORM]
    )
    shown = screen.reveal(FORM, written, ["record_id", "surname", "weight"])
    assert shown.to_pylist() == [{"record_id": "A-1", "surname": None, "weight": 61.5}]


def test_pseudonyms_depend_on_the_key_alone() -> None:
    one, same, other = Pseudonyms(KEY, 364), Pseudonyms(KEY, 10), Pseudonyms(KEY[::-1], 364)
    assert one.of("A-1") == same.of("A-1")
    assert one.of("A-1") != one.of("A-2")
    assert one.of("A-1") != other.of("A-1")
    assert one.fingerprint() != other.fingerprint()
    assert len(one.of("A-1")) == 32
    assert one.replace(pa.chunked_array([["A-1", None]])).to_pylist() == [one.of("A-1"), None]


def test_the_manifest_is_told_names_and_no_key() -> None:
    facts = deidentifier(keep=["remarks"]).facts()
    assert facts["dropped_fields"] == [
        "surname",
        "born",
        "hospital_number",
        "mail",
        "scan",
        "ward",
    ]
    assert facts["shifted_fields"] == ["seen", "sampled", "called"]
    assert KEY.decode() not in str(facts)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"keep": ["a"], "drop": ["a"]}, "both kept and dropped: a"),
        ({"longest_shift_days": 0}, "at least 1"),
    ],
)
def test_options_that_contradict_are_refused(options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DeidentificationOptions(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"keep": ["surnam"]}, "surnam"), ({"drop": ["record_id"]}, "cannot be dropped")],
)
def test_names_that_are_no_fields_are_refused(options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DeidentificationOptions(**options).check_fields(PROJECT)


def test_a_key_comes_from_the_environment_and_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    options = DeidentificationOptions(key_env="OUR_KEY")
    with pytest.raises(ConfigError, match="OUR_KEY is not set"):
        options.read_key()
    monkeypatch.setenv("OUR_KEY", "short")
    with pytest.raises(ConfigError, match="OUR_KEY is too short") as refused:
        options.read_key()
    assert "'short'" not in str(refused.value)
    monkeypatch.setenv("OUR_KEY", KEY.decode())
    assert options.read_key() == KEY
    monkeypatch.delenv("OUR_KEY")
    assert (
        DeidentificationOptions(pseudonymize_record_ids=False, shift_dates=False).read_key() == b""
    )
