"""The client against the emulator, over HTTP: what one writes, the other reads."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.errors import ApiTokenError, RequestRejectedError, TransportError

CLASSIC = """<?xml version="1.0" encoding="UTF-8" ?>
<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:redcap="https://projectredcap.org"
 ODMVersion="1.3.1" FileOID="000-00-0000" FileType="Snapshot" Description="Classic"
 CreationDateTime="2024-01-01T00:00:00" SourceSystem="REDCap" SourceSystemVersion="14.7.3">
<Study OID="Project.Classic">
<GlobalVariables><StudyName>Classic</StudyName></GlobalVariables>
<MetaDataVersion OID="Metadata.Classic" Name="Classic" redcap:RecordIdField="record_id">
<FormDef OID="Form.intake" Name="Intake" Repeating="No" redcap:FormName="intake">
<ItemGroupDef OID="intake.record_id" Name="Intake" Repeating="No"></ItemGroupDef>
<ItemGroupRef ItemGroupOID="intake.record_id" Mandatory="No"/>
</FormDef>
<ItemGroupDef OID="intake.record_id" Name="Intake" Repeating="No">
<ItemRef ItemOID="record_id" Mandatory="No" redcap:Variable="record_id"/>
<ItemRef ItemOID="note" Mandatory="No" redcap:Variable="note"/>
<ItemRef ItemOID="intake_complete" Mandatory="No" redcap:Variable="intake_complete"/>
</ItemGroupDef>
<ItemDef OID="record_id" Name="record_id" DataType="text" Length="999"
 redcap:Variable="record_id" redcap:FieldType="text">
<Question><TranslatedText>Record ID</TranslatedText></Question></ItemDef>
<ItemDef OID="note" Name="note" DataType="text" Length="999" redcap:Variable="note"
 redcap:FieldType="textarea"><Question><TranslatedText>A note</TranslatedText></Question></ItemDef>
<ItemDef OID="intake_complete" Name="intake_complete" DataType="text" Length="1"
 redcap:Variable="intake_complete" redcap:FieldType="select" redcap:SectionHeader="Form Status">
<Question><TranslatedText>Complete?</TranslatedText></Question>
<CodeListRef CodeListOID="intake_complete.choices"/></ItemDef>
<CodeList OID="intake_complete.choices" Name="intake_complete" DataType="text"
 redcap:Variable="intake_complete">
<CodeListItem CodedValue="0"><Decode><TranslatedText>Incomplete</TranslatedText></Decode>
</CodeListItem>
<CodeListItem CodedValue="2"><Decode><TranslatedText>Complete</TranslatedText></Decode>
</CodeListItem></CodeList>
</MetaDataVersion>
</Study>
<ClinicalData StudyOID="Project.Classic" MetaDataVersionOID="Metadata.Classic">
<SubjectData SubjectKey="001" redcap:RecordIdField="record_id"><FormData FormOID="Form.intake"
 FormRepeatKey="1"><ItemGroupData ItemGroupOID="intake.record_id" TransactionType="Insert">
<ItemData ItemOID="record_id" Value="001"/>
<ItemData ItemOID="note" Value="said &quot;yes, &#10;no&quot; 😀"/>
<ItemData ItemOID="intake_complete" Value="2"/>
</ItemGroupData></FormData></SubjectData>
<SubjectData SubjectKey="b c" redcap:RecordIdField="record_id"><FormData FormOID="Form.intake"
 FormRepeatKey="1"><ItemGroupData ItemGroupOID="intake.record_id" TransactionType="Insert">
<ItemData ItemOID="record_id" Value="b c"/>
</ItemGroupData></FormData></SubjectData>
</ClinicalData>
</ODM>
"""

COHORT = Path(__file__).parents[2] / "example_pipeline" / "study" / "asthma_cohort.xml"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RedcapEmulator]:
    with RedcapEmulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def classic(emulator: RedcapEmulator) -> Iterator[RedcapClient]:
    with RedcapClient(emulator.url, emulator.add_project(CLASSIC), retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def cohort(emulator: RedcapEmulator) -> Iterator[RedcapClient]:
    """The synthetic study of the example pipeline: two arms, events, repeats, groups, surveys."""
    with RedcapClient(emulator.url, emulator.add_project(COHORT), retries=0) as client:
        yield client


def test_a_classic_project_is_read_whole(classic: RedcapClient) -> None:
    note = 'said "yes, \nno" 😀'
    assert classic.export_records() == [
        {"record_id": "001", "note": note, "intake_complete": "2"},
        {"record_id": "b c", "note": "", "intake_complete": "0"},
    ]
    assert classic.frames.export_records().to_dict("list") == {
        "record_id": ["001", "b c"],
        "note": [note, ""],
        "intake_complete": ["2", "0"],
    }
    assert classic.export_records(records=["b c"], fields=["record_id"]) == [{"record_id": "b c"}]
    assert classic.export_instruments() == [
        {"instrument_name": "intake", "instrument_label": "Intake"}
    ]
    assert [row["field_name"] for row in classic.export_metadata()] == ["record_id", "note"]


def test_a_classic_project_has_no_arms_events_mappings_or_repeats(classic: RedcapClient) -> None:
    assert classic.export_arms() == []
    assert classic.export_events() == []
    assert classic.export_form_event_mappings() == []
    assert classic.export_repeating_instruments_events() == []


def test_records_that_are_not_there_are_no_rows(classic: RedcapClient) -> None:
    assert classic.export_records(records=["nobody"]) == []
    assert classic.export_records_csv(records=["nobody"]) == b""
    assert len(classic.frames.export_records(records=["nobody"])) == 0


def test_a_field_that_is_not_there_is_named(classic: RedcapClient) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        classic.export_records(fields=["record_id", "nope"])

    assert str(caught.value) == (
        "REDCap record: the request was refused (HTTP 400). REDCap says: The following values in "
        "the parameter \"fields\" are not valid: 'nope'."
    )


def test_a_token_of_nobody_is_refused(emulator: RedcapEmulator) -> None:
    with (
        RedcapClient(emulator.url, "0" * 32) as client,
        pytest.raises(ApiTokenError, match="wrong, was revoked"),
    ):
        client.export_project_info()


def test_every_list_has_the_same_columns_as_dicts_and_as_a_frame(cohort: RedcapClient) -> None:
    for rows, frame in (
        (cohort.export_metadata(), cohort.frames.export_metadata()),
        (cohort.export_field_names(), cohort.frames.export_field_names()),
        (cohort.export_instruments(), cohort.frames.export_instruments()),
        (cohort.export_arms(), cohort.frames.export_arms()),
        (cohort.export_events([1]), cohort.frames.export_events([1])),
        (cohort.export_form_event_mappings(), cohort.frames.export_form_event_mappings()),
        (
            cohort.export_repeating_instruments_events(),
            cohort.frames.export_repeating_instruments_events(),
        ),
        (cohort.export_users(), cohort.frames.export_users()),
        (cohort.export_user_roles(), cohort.frames.export_user_roles()),
        (cohort.export_user_role_mappings(), cohort.frames.export_user_role_mappings()),
        (cohort.export_data_access_groups(), cohort.frames.export_data_access_groups()),
        (
            cohort.export_user_data_access_group_mappings(),
            cohort.frames.export_user_data_access_group_mappings(),
        ),
    ):
        assert rows
        assert len(frame) == len(rows)
        assert list(frame.columns) == list(rows[0])


def test_records_of_a_study_are_the_same_in_every_shape(cohort: RedcapClient) -> None:
    rows = cohort.export_records(export_survey_fields=True, export_data_access_groups=True)
    as_text = [{name: str(value) for name, value in row.items()} for row in rows]
    file = io.BytesIO()

    cohort.stream_records_csv(file, export_survey_fields=True, export_data_access_groups=True)
    frame = cohort.frames.export_records(
        export_survey_fields=True, export_data_access_groups=True, csv_delimiter="|"
    )

    text = io.StringIO(file.getvalue().decode(), newline="")
    assert list(csv.DictReader(text, strict=True)) == as_text
    assert frame.to_dict("records") == as_text
    assert list(frame.columns)[:5] == [
        "participant_id",
        "redcap_event_name",
        "redcap_repeat_instrument",
        "redcap_repeat_instance",
        "redcap_data_access_group",
    ]


def test_a_study_comes_in_batches_as_it_comes_at_once(cohort: RedcapClient) -> None:
    whole = cohort.export_records(forms=["enrolment", "adverse_events"], fields=["participant_id"])

    batches = list(cohort.iter_records(forms=["enrolment", "adverse_events"], batch_size=150))

    assert [len({row["participant_id"] for row in batch}) for batch in batches] == [150, 150, 100]
    assert [row for batch in batches for row in batch] == whole
    frames = list(cohort.frames.iter_records(batch_size=400))
    assert [frame["participant_id"].nunique() for frame in frames] == [400]


def test_what_is_written_is_read_again(emulator: RedcapEmulator) -> None:
    token = emulator.add_project(CLASSIC)
    rows = [
        {"record_id": "007", "note": 'a, "b"\n😀', "intake_complete": "1"},
        {"record_id": "NA", "note": "null", "intake_complete": "0"},
    ]
    with RedcapClient(emulator.url, token, retries=0) as redcap:
        assert redcap.import_records(rows).count == 2
        assert redcap.export_records(records=["007", "NA"]) == rows
        frame = redcap.frames.export_records(records=["007", "NA"])
        assert redcap.delete_records(["007", "NA"]) == 2
        assert redcap.import_records(frame, return_content="ids").record_ids == ("007", "NA")
        assert redcap.rename_record("NA", "None") is True
        assert redcap.export_records(records=["None"])[0]["note"] == "null"
        assert redcap.delete_records(["007", "None"]) == 2


def test_an_export_without_rows_has_the_columns_of_one_with_rows(cohort: RedcapClient) -> None:
    for options in ({}, {"forms": ["spirometry"]}, {"fields": ["participant_id"]}):
        full = cohort.frames.export_records(**options)  # type: ignore[arg-type]
        empty = cohort.frames.export_records(records=["nobody"], **options)  # type: ignore[arg-type]
        assert (list(empty.columns), len(empty)) == (list(full.columns), 0)
    shape = {"record_type": "eav", "forms": ["spirometry"]}
    full = cohort.frames.export_records(**shape)  # type: ignore[arg-type]
    empty = cohort.frames.export_records(records=["nobody"], **shape)  # type: ignore[arg-type]
    assert (list(empty.columns), len(empty)) == (list(full.columns), 0)


def test_a_change_whose_answer_is_lost_is_not_made_twice(emulator: RedcapEmulator) -> None:
    with RedcapClient(emulator.url, emulator.add_project(CLASSIC), retries=3) as redcap:
        emulator.faults.add("reset:when=after,times=1,action=import")
        with pytest.raises(TransportError, match="look before sending it again"):
            redcap.import_records([{"record_id": "1"}], force_auto_number=True)
        emulator.faults.clear()
        assert len(redcap.export_records()) == 3
