"""Builds small REDCap project XML files, in the shape that REDCap 14 writes them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
import requests

from redcap_dagster.emulator import RedcapEmulator

Row = Mapping[str, str]
ProjectXml = Callable[..., str]
Ask = Callable[..., requests.Response]

_INTERNAL_TYPES = {"dropdown": "select", "notes": "textarea"}
_INTERNAL_VALIDATIONS = {"integer": "int", "number": "float"}
_ATTRIBUTES = {
    "section_header": "SectionHeader",
    "field_note": "FieldNote",
    "branching_logic": "BranchingLogic",
    "identifier": "Identifier",
    "required_field": "RequiredField",
    "custom_alignment": "CustomAlignment",
    "question_number": "QuestionNumber",
    "matrix_group_name": "MatrixGroupName",
    "matrix_ranking": "MatrixRanking",
    "field_annotation": "FieldAnnotation",
}
_SYSTEM_COLUMNS = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
_ODM = (
    '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:redcap="https://projectredcap.org"'
    ' FileType="Snapshot" Description={title} CreationDateTime="2026-01-02T03:04:05"'
    ' SourceSystem="REDCap" SourceSystemVersion="14.7.3">'
)


class _Builder:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.fields: Sequence[Row] = settings["fields"]
        self.events: Sequence[tuple[int, str, str, Sequence[str]]] = settings["events"]
        self.repeats: Sequence[tuple[str, str, str]] = settings["repeats"]
        self.groups: Sequence[str] = settings["groups"]
        self.surveys: Sequence[str] = settings["surveys"]
        self.missing_codes: str = settings["missing_codes"]
        self.rows: Sequence[Row] = settings["rows"]
        self.title: str = settings["title"]
        self.arms: Mapping[int, str] = settings["arms"]
        self.extra: str = settings["extra"]
        self.forms = list(dict.fromkeys(field["form_name"] for field in self.fields))

    def xml(self) -> str:
        return "".join(
            [
                '<?xml version="1.0" encoding="UTF-8" ?>\n',
                _ODM.format(title=quoteattr(self.title)),
                '\n<Study OID="Project.P"><GlobalVariables>',
                self.settings(),
                "</GlobalVariables>\n",
                '<MetaDataVersion OID="Metadata.P" redcap:RecordIdField="record_id">\n',
                *(self.event(*event) for event in self.events),
                *(self.form(form) for form in self.forms),
                *(self.items(field) for field in self.fields),
                *(self.choices(field) for field in self.fields),
                '</MetaDataVersion></Study>\n<ClinicalData StudyOID="Project.P">\n',
                *(self.subject(record) for record in self.record_ids()),
                "</ClinicalData></ODM>\n",
            ]
        )

    def settings(self) -> str:
        parts = [f"<StudyName>{escape(self.title)}</StudyName>"]
        parts.append(
            f"<redcap:MissingDataCodes>{escape(self.missing_codes)}</redcap:MissingDataCodes>"
        )
        parts.append(f"<redcap:SurveysEnabled>{int(bool(self.surveys))}</redcap:SurveysEnabled>")
        parts += [
            f'<redcap:RepeatingInstrument redcap:UniqueEventName="{event}"'
            f' redcap:RepeatInstrument="{form}" redcap:CustomLabel={quoteattr(label)}/>'
            if form
            else f'<redcap:RepeatingEvent redcap:UniqueEventName="{event}"/>'
            for event, form, label in self.repeats
        ]
        parts += [
            f"<redcap:DataAccessGroups group_name={quoteattr(group)}/>" for group in self.groups
        ]
        parts += [
            f'<redcap:Surveys form_name="{form}" survey_enabled="1"/>' for form in self.surveys
        ]
        return "\n".join(parts) + self.extra

    def event(self, arm: int, label: str, unique_name: str, forms: Sequence[str]) -> str:
        references = "".join(f'<FormRef FormOID="Form.{form}"/>' for form in forms)
        return (
            f'<StudyEventDef OID="Event.{unique_name}" Name={quoteattr(label)}'
            f' redcap:EventName={quoteattr(label)} redcap:UniqueEventName="{unique_name}"'
            f' redcap:ArmNum="{arm}" redcap:ArmName={quoteattr(self.arms.get(arm, f"Arm {arm}"))}>'
            f"{references}</StudyEventDef>\n"
        )

    def form(self, form: str) -> str:
        items = [
            item for field in self.fields if field["form_name"] == form for item in columns(field)
        ]
        references = "".join(f'<ItemRef ItemOID="{item}"/>' for item in items)
        label = form.replace("_", " ").title()
        return (
            f'<FormDef OID="Form.{form}" Name="{label}" redcap:FormName="{form}">'
            f'<ItemGroupRef ItemGroupOID="{form}.all"/></FormDef>'
            f'<ItemGroupDef OID="{form}.all">{references}</ItemGroupDef>\n'
        )

    def items(self, field: Row) -> str:
        kind = field.get("field_type", "text")
        validation = field.get("text_validation_type_or_show_slider_number", "")
        attributes = {
            "Variable": field["field_name"],
            "FieldType": _INTERNAL_TYPES.get(kind, kind),
            "TextValidationType": _INTERNAL_VALIDATIONS.get(validation, validation),
            **{name: field.get(column, "") for column, name in _ATTRIBUTES.items()},
        }
        text = field.get("select_choices_or_calculations", "")
        if kind == "calc":
            attributes["Calculation"] = text
        if kind == "slider":
            attributes["SliderLabels"] = text
        written = "".join(
            f" redcap:{name}={quoteattr(value)}" for name, value in attributes.items() if value
        )
        bounds = "".join(
            f'<RangeCheck Comparator="{comparator}"><CheckValue>{escape(field[column])}'
            "</CheckValue><ErrorMessage><TranslatedText>out of range</TranslatedText>"
            "</ErrorMessage></RangeCheck>"
            for comparator, column in (("GE", "text_validation_min"), ("LE", "text_validation_max"))
            if field.get(column)
        )
        label = escape(field.get("field_label", field["field_name"]))
        return "".join(
            f'<ItemDef OID="{item}"{written}><Question><TranslatedText>{label}</TranslatedText>'
            f'</Question><CodeListRef CodeListOID="{field["field_name"]}.choices"/>{bounds}'
            "</ItemDef>\n"
            for item in columns(field)
        )

    def choices(self, field: Row) -> str:
        name, text = field["field_name"], field.get("select_choices_or_calculations", "")
        if field.get("field_type") == "checkbox":
            written = f" redcap:CheckboxChoices={quoteattr(text)}"
            return f'<CodeList OID="{name}.choices" Name="{name}"{written}/>\n'
        parts = text.split("|") if field.get("field_type") in {"radio", "dropdown"} else []
        items = "".join(
            f'<CodeListItem CodedValue="{escape(code.strip())}"><Decode>'
            f"<TranslatedText>{escape(label.strip())}</TranslatedText></Decode></CodeListItem>"
            for code, _, label in (part.partition(",") for part in parts)
        )
        return f'<CodeList OID="{name}.choices" Name="{name}">{items}</CodeList>\n'

    def record_ids(self) -> list[str]:
        return list(dict.fromkeys(self.record_id(row) for row in self.rows))

    def record_id(self, row: Row) -> str:
        return row[self.fields[0]["field_name"]]

    def subject(self, record_id: str) -> str:
        rows = [row for row in self.rows if self.record_id(row) == record_id]
        body = "".join(self.data(row) for row in rows)
        return f"<SubjectData SubjectKey={quoteattr(record_id)}>{body}</SubjectData>\n"

    def data(self, row: Row) -> str:
        event, instrument, instance = (row.get(column, "") for column in _SYSTEM_COLUMNS)
        form_key = instance if instrument else "1"
        event_key = instance if instance and not instrument else "1"
        forms = "".join(
            f'<FormData FormOID="Form.{form}" FormRepeatKey="{form_key}"><ItemGroupData>'
            + "".join(self.item(name, value) for name, value in self.values(row, form))
            + "</ItemGroupData></FormData>"
            for form in self.forms
            if self.values(row, form)
        )
        if not event:
            return forms
        return (
            f'<StudyEventData StudyEventOID="Event.{event}" StudyEventRepeatKey="{event_key}"'
            f' redcap:UniqueEventName="{event}">{forms}</StudyEventData>'
        )

    def values(self, row: Row, form: str) -> list[tuple[str, str]]:
        """Non-blank values of one form; group, identifier and id stand in the first one."""
        own = {field["field_name"] for field in self.fields if field["form_name"] == form}
        own |= {f"{form}_complete", f"{form}_timestamp"}
        if (row.get("redcap_repeat_instrument") or form) != form:
            own = set()
        if form == self.forms[0]:
            own |= {"redcap_data_access_group", "redcap_survey_identifier"}
        return [
            (name, value)
            for name, value in row.items()
            if value and (name in own or name.split("___")[0] in own)
        ]

    def item(self, name: str, value: str) -> str:
        kinds = {field["field_name"]: field.get("field_type", "text") for field in self.fields}
        if kinds.get(name) == "file":
            return (
                f'<ItemDataBase64Binary ItemOID="{name}" redcap:DocName={quoteattr(value)}'
                ' redcap:MimeType="text/plain"><![CDATA[Zm9v]]></ItemDataBase64Binary>'
            )
        # As REDCap does: line breaks inside an attribute stay as they are.
        text = quoteattr(value).replace("&#10;", "\n").replace("&#13;", "\r").replace("&#9;", "\t")
        return f'<ItemData ItemOID="{name}" Value={text}/>'


def columns(field: Row) -> list[str]:
    """Item ids of a field: one a choice for a checkbox."""
    name = field["field_name"]
    if field.get("field_type") != "checkbox":
        return [name]
    codes = [
        part.partition(",")[0].strip()
        for part in field["select_choices_or_calculations"].split("|")
    ]
    return [f"{name}___{re.sub('[^a-z0-9_]', '_', code.lower())}" for code in codes]


@pytest.fixture(scope="session")
def project_xml() -> ProjectXml:
    """A function that writes a project XML from dictionary rows and flat raw rows."""

    def build(fields: Sequence[Row], rows: Sequence[Row] = (), **settings: Any) -> str:
        defaults = {
            "events": (),
            "repeats": (),
            "groups": (),
            "surveys": (),
            "missing_codes": "",
            "title": "A study",
            "arms": {},
            "extra": "",
        }
        return _Builder({"fields": fields, "rows": rows, **defaults, **settings}).xml()

    return build


@pytest.fixture(scope="module")
def redcap() -> Iterator[RedcapEmulator]:
    """A running emulator without projects."""
    with RedcapEmulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def ask(redcap: RedcapEmulator) -> Ask:
    """A function that posts to the emulator; `token` comes first."""

    def post(token: str, content: str, **parameters: Any) -> requests.Response:
        data = {"token": token, "content": content, "format": "csv", **parameters}
        return requests.post(redcap.url, data=data, timeout=30)

    return post


@pytest.fixture
def send(ask: Ask) -> Any:
    """A function that imports csv and returns status and text."""

    def post(token: str, data: str, **parameters: str) -> tuple[int, str]:
        answer = ask(token, "record", data=data, **parameters)
        return answer.status_code, answer.text

    return post


@pytest.fixture
def change(ask: Any) -> Any:
    """A function that sends rows for import and returns status and body."""

    def post(token: str, content: str, rows: Any, **parameters: Any) -> tuple[int, str]:
        sent = {"format": "json", "returnFormat": "csv", "data": json.dumps(rows), **parameters}
        answer = ask(token, content, **sent)
        return answer.status_code, answer.text

    return post
