"""Other people's clients, installed from PyPI and unchanged, pointed at the emulator."""

from collections.abc import Iterator

import pytest

from redcap_dagster.emulator import RedcapEmulator, SyntheticProject, synthetic_project
from redcap_dagster.emulator.synthetic import Shape

SUPER_TOKEN = "5" * 64
RECORDS = 12
SHAPES: tuple[Shape, ...] = (
    "classic",
    "longitudinal",
    "repeating",
    "survey",
    "data_access_groups",
)


@pytest.fixture(scope="session")
def server() -> Iterator[RedcapEmulator]:
    """A server with a super token."""
    with RedcapEmulator(super_token=SUPER_TOKEN) as redcap:
        yield redcap


@pytest.fixture(scope="session")
def super_token() -> str:
    """The token that makes projects."""
    return SUPER_TOKEN


@pytest.fixture(params=SHAPES)
def made(request: pytest.FixtureRequest) -> SyntheticProject:
    """A project of each shape, one after another."""
    return synthetic_project(RECORDS, seed=4, shape=request.param)


@pytest.fixture
def token(server: RedcapEmulator, made: SyntheticProject) -> str:
    """The token of a fresh project of that shape."""
    return server.add_project(made)


@pytest.fixture(scope="session")
def documented_project() -> str:
    """XML of the project that the examples in PyCap's documentation talk to."""
    return _XML


def _choice(code: str, label: str) -> str:
    return (
        f'<CodeListItem CodedValue="{code}"><Decode><TranslatedText>{label}</TranslatedText>'
        "</Decode></CodeListItem>"
    )


def _item(name: str, label: str, kind: str, variable: str = "") -> str:
    return (
        f'<ItemDef OID="{name}" Name="{name}" redcap:Variable="{variable or name}"'
        f' redcap:FieldType="{kind}"><Question><TranslatedText>{label}</TranslatedText></Question>'
        f'<CodeListRef CodeListOID="{name}.choices"/></ItemDef>'
    )


def _event(unique_name: str, name: str, forms: str) -> str:
    return (
        f'<StudyEventDef OID="Event.{unique_name}" Name="{name}" redcap:EventName="{name}"'
        f' redcap:UniqueEventName="{unique_name}" redcap:ArmNum="1" redcap:ArmName="Arm 1">'
        f"{forms}</StudyEventDef>"
    )


def _subject(record: str, items: str) -> str:
    return (
        f'<SubjectData SubjectKey="{record}"><StudyEventData StudyEventRepeatKey="1"'
        ' StudyEventOID="Event.event_1_arm_1" redcap:UniqueEventName="event_1_arm_1">'
        '<FormData FormOID="Form.form_1" FormRepeatKey="1"><ItemGroupData>'
        f"{items}</ItemGroupData></FormData></StudyEventData></SubjectData>"
    )


def _value(name: str, value: str) -> str:
    return f'<ItemData ItemOID="{name}" Value="{value}"/>'


def _file(name: str, base64: str) -> str:
    return (
        f'<ItemDataBase64Binary ItemOID="upload_field" redcap:DocName="{name}"'
        f' redcap:MimeType="text/plain"><![CDATA[{base64}]]></ItemDataBase64Binary>'
    )


_BOXES = "1, Option 1|2, Option 2"
_XML = "\n".join(
    (
        '<?xml version="1.0" encoding="UTF-8" ?>',
        '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:redcap="https://projectredcap.org"',
        ' FileType="Snapshot" Description="Documented" CreationDateTime="2026-01-02T03:04:05"',
        ' SourceSystem="REDCap" SourceSystemVersion="12.0.1">',
        '<Study OID="Project.Documented"><GlobalVariables><StudyName>Documented</StudyName>',
        "<redcap:RecordAutonumberingEnabled>1</redcap:RecordAutonumberingEnabled>",
        "<redcap:SurveysEnabled>1</redcap:SurveysEnabled>",
        "<redcap:RepeatingInstrumentsAndEvents>",
        '<redcap:RepeatingEvent redcap:UniqueEventName="event_1_arm_1"/>',
        "</redcap:RepeatingInstrumentsAndEvents>",
        "<redcap:SurveysGroup>",
        (
            '<redcap:Surveys form_name="form_1" title="Form 1" survey_enabled="1"'
            ' save_and_return="1"/>'
        ),
        "</redcap:SurveysGroup>",
        "</GlobalVariables>",
        '<MetaDataVersion OID="Metadata.Documented" redcap:RecordIdField="record_id">',
        _event("event_1_arm_1", "Event 1", '<FormRef FormOID="Form.form_1"/>'),
        _event("event_2_arm_1", "Event 2", ""),
        (
            '<FormDef OID="Form.form_1" Name="Form 1" redcap:FormName="form_1">'
            '<ItemGroupRef ItemGroupOID="form_1.all"/></FormDef>'
        ),
        '<ItemGroupDef OID="form_1.all">',
        *(
            f'<ItemRef ItemOID="{name}"/>'
            for name in (
                "record_id",
                "field_1",
                "checkbox_field___1",
                "checkbox_field___2",
                "upload_field",
            )
        ),
        "</ItemGroupDef>",
        _item("record_id", "Record ID", "text"),
        _item("field_1", "Field 1", "yesno"),
        _item("checkbox_field___1", "Checkbox Field", "checkbox", "checkbox_field"),
        _item("checkbox_field___2", "Checkbox Field", "checkbox", "checkbox_field"),
        _item("upload_field", "File Upload", "file"),
        (
            f'<CodeList OID="field_1.choices" Name="field_1">{_choice("1", "Yes")}'
            f"{_choice('0', 'No')}</CodeList>"
        ),
        *(
            f'<CodeList OID="checkbox_field___{code}.choices" Name="checkbox_field___{code}"'
            f' redcap:CheckboxChoices="{_BOXES}"/>'
            for code in (1, 2)
        ),
        '</MetaDataVersion></Study><ClinicalData StudyOID="Project.Documented">',
        _subject(
            "1",
            _value("field_1", "1")
            + _value("checkbox_field___2", "1")
            + _file("test_upload.txt", "dGVzdCB1cGxvYWQK")
            + _value("form_1_complete", "2"),
        ),
        _subject(
            "2",
            _value("field_1", "0") + _file("myupload.txt", "") + _value("form_1_complete", "0"),
        ),
        "</ClinicalData></ODM>",
    )
)
