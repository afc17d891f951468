"""Writes the study as REDCap 14 exports a project: CDISC ODM 1.3.1 with REDCap's extension.

The shape was read off project files that real servers exported; `docs/sources.md` names them.
Line breaks stand as they are inside attributes, which is what those servers write.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from example_pipeline.study.design import EVENTS, EXPORTED_AT, REDCAP_VERSION, TITLE
from example_pipeline.study.dictionary import Form
from example_pipeline.study.odm_design import METADATA_OID, STUDY_OID, iter_design
from example_pipeline.study.odm_fields import column_groups, escape
from example_pipeline.study.visits import Entry, Record

FILE_TEXTS = {
    "consent_form": "Synthetic consent form. Nobody signed it.\n",
    "discharge_letter": "Synthetic discharge letter. Nobody was discharged.\n",
}


Columns = Mapping[str, Sequence[str]]
"""OID of an item group → its export columns."""


def project_xml(forms: Sequence[Form], records: Iterable[Record]) -> str:
    """The whole project file: design and data."""
    return "\n".join([*_head(), *iter_design(forms), *_clinical_data(forms, records), "</ODM>"])


def _head() -> list[str]:
    moment = EXPORTED_AT.isoformat()
    root = (
        '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3"'
        ' xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xmlns:redcap="https://projectredcap.org"'
        ' xsi:schemaLocation="http://www.cdisc.org/ns/odm/v1.3 schema/odm/ODM1-3-1.xsd"'
        ' ODMVersion="1.3.1" FileOID="000-00-0000" FileType="Snapshot"'
        f' Description="{escape(TITLE)}" AsOfDateTime="{moment}" CreationDateTime="{moment}"'
        f' SourceSystem="REDCap" SourceSystemVersion="{REDCAP_VERSION}">'
    )
    return ['<?xml version="1.0" encoding="UTF-8" ?>', root]


def _clinical_data(forms: Sequence[Form], records: Iterable[Record]) -> Iterator[str]:
    groups = {form.name: column_groups(form) for form in forms}
    datetimes = {
        field.name
        for form in forms
        for field in form.fields
        if field.validation.startswith("datetime_")
    }
    yield f'<ClinicalData StudyOID="{STUDY_OID}" MetaDataVersionOID="{METADATA_OID}">'
    for record in records:
        yield from _subject(record, groups, datetimes)
    yield "</ClinicalData>"


def _subject(record: Record, groups: Mapping[str, Columns], datetimes: set[str]) -> Iterator[str]:
    """One participant: base rows of all events, then repeating rows, as the API orders them."""
    person = record.person
    yield (
        f'\t<SubjectData SubjectKey="{escape(person.record_id)}"'
        ' redcap:RecordIdField="participant_id">'
    )
    ordered = sorted(record.entries, key=lambda entry: _row_order(record, entry))
    for (event, _), entries in groupby(
        ordered, key=lambda entry: (entry.event, entry.instance and (entry.form, entry.instance))
    ):
        yield (
            f'\t\t<StudyEventData StudyEventOID="Event.{event}" StudyEventRepeatKey="1"'
            f' redcap:UniqueEventName="{event}">'
        )
        for entry in entries:
            values = dict(entry.values)
            if entry.form == "enrolment":
                values["redcap_data_access_group"] = person.site.group
            yield from _form(entry, values, groups[entry.form], datetimes)
        yield "\t\t</StudyEventData>"
    yield "\t</SubjectData>"


def _row_order(record: Record, entry: Entry) -> tuple[bool, int, str, int]:
    visits = [event.unique_name(record.person.arm) for event in EVENTS]
    is_repeating = entry.instance is not None
    return (
        is_repeating,
        visits.index(entry.event),
        entry.form if is_repeating else "",
        entry.instance or 0,
    )


def _form(
    entry: Entry,
    values: Mapping[str, str],
    groups: Mapping[str, Sequence[str]],
    datetimes: set[str],
) -> Iterator[str]:
    status = f"{entry.form}_complete"
    values = {**values, status: entry.status}
    yield (f'\t\t\t<FormData FormOID="Form.{entry.form}" FormRepeatKey="{entry.instance or 1}">')
    for oid, columns in groups.items():
        present = [column for column in columns if values.get(column)]
        if present:
            yield f'\t\t\t\t<ItemGroupData ItemGroupOID="{oid}" ItemGroupRepeatKey="1">'
            for column in present:
                yield _item(column, values[column], is_datetime=column in datetimes)
            yield "\t\t\t\t</ItemGroupData>"
    yield "\t\t\t</FormData>"


def _item(column: str, value: str, *, is_datetime: bool) -> str:
    if column in FILE_TEXTS:
        content = base64.b64encode(FILE_TEXTS[column].encode()).decode()
        return (
            f'\t\t\t\t\t<ItemDataBase64Binary ItemOID="{column}" redcap:DocName="{escape(value)}"'
            f' redcap:MimeType="text/plain"><![CDATA[{content}]]></ItemDataBase64Binary>'
        )
    # REDCap writes a T between date and time here, and a blank everywhere else.
    text = value.replace(" ", "T", 1) if is_datetime else value
    return f'\t\t\t\t\t<ItemData ItemOID="{column}" Value="{escape(text)}"/>'
