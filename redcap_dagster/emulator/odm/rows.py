"""Reads the `ClinicalData` part of a REDCap project XML, one record at a time."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import ProjectFileError
from redcap_dagster.emulator.names import checkbox_column, timestamp_column
from redcap_dagster.emulator.odm.events import End, Start

_ODM_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT")
GROUP_COLUMN = "redcap_data_access_group"
IDENTIFIER_COLUMN = "redcap_survey_identifier"


class RowKey(NamedTuple):
    """Where in its record a row of data stands; base rows have instrument "" and instance 0."""

    event: str
    instrument: str
    instance: int


@dataclass(frozen=True)
class Document:
    """A file kept in a file field; `content` is None where the XML holds only its name."""

    name: str
    mime_type: str
    content: bytes | None


@dataclass
class LoadedRecord:
    """Everything of one record: non-blank values by column, files by field.

    Checkbox columns are present only when ticked. A form status is present only when the form was
    saved, which is all that tells REDCap's gray forms from incomplete ones.
    """

    record_id: str
    group: str = ""
    rows: dict[RowKey, dict[str, str]] = field(default_factory=dict)
    documents: dict[tuple[RowKey, str], Document] = field(default_factory=dict)


def iter_records(walk: Iterator[Start | End], design: Design, name: str) -> Iterator[LoadedRecord]:
    """Yield the records of the `ClinicalData` that comes next, in file order.

    Raises:
        ProjectFileError: The data names an event, form or field that the design does not have.
    """
    reader = _Reader(design, name)
    for step in walk:
        if isinstance(step, Start):
            reader.start(step)
        elif step.tag == "SubjectData":
            yield reader.record
        elif step.tag == "ItemDataBase64Binary":
            reader.document(step.text)


class _Reader:
    def __init__(self, design: Design, name: str) -> None:
        self.record = LoadedRecord("")
        self._design = design
        self._name = name
        self._known = self._known_columns()
        self._checkboxes = {
            checkbox_column(entry.name, choice.code)
            for entry in design.fields
            for choice in design.checkbox_choices(entry)
        }
        self._datetimes = {
            entry.name for entry in design.fields if entry.validation.startswith("datetime")
        }
        self._files = {entry.name for entry in design.fields if entry.field_type == "file"}
        self._missing_codes = {code.code for code in design.missing_codes}
        self._event = ""
        self._event_instance = 1
        self._key = RowKey("", "", 0)
        self._item: dict[str, str] = {}

    def _known_columns(self) -> set[str]:
        stamps = {timestamp_column(form.name) for form in self._design.forms}
        return {*self._design.column_forms, *stamps, IDENTIFIER_COLUMN}

    def start(self, step: Start) -> None:
        attributes = step.attributes
        if step.tag == "ItemData":
            self._value(attributes["ItemOID"], attributes["Value"])
        elif step.tag == "FormData":
            self._form(attributes["FormOID"], int(attributes["FormRepeatKey"]))
        elif step.tag == "StudyEventData":
            event = attributes.get("redcap:UniqueEventName", "")
            event = event or attributes["StudyEventOID"].removeprefix("Event.")
            self._event = event if self._design.events else ""
            self._event_instance = int(attributes["StudyEventRepeatKey"])
            if self._event not in self._design.event_order:
                raise ProjectFileError(f"{self._name} holds data of an event it does not define.")
        elif step.tag == "SubjectData":
            self.record = LoadedRecord(attributes["SubjectKey"])
            self._event = "" if not self._design.events else self._design.events[0].unique_name
            self._event_instance = 1
        elif step.tag == "ItemDataBase64Binary":
            self._item = attributes

    def _form(self, form_id: str, form_instance: int) -> None:
        form = form_id.removeprefix("Form.")
        if form not in self._design.form_order:
            raise ProjectFileError(f"{self._name} holds data of an instrument it does not define.")
        if self._design.repeats_as_form(self._event, form):
            self._key = RowKey(self._event, form, form_instance)
        elif self._design.repeats_as_event(self._event):
            self._key = RowKey(self._event, "", self._event_instance)
        elif form_instance == self._event_instance == 1:
            self._key = RowKey(self._event, "", 0)
        else:
            raise ProjectFileError(
                f"{self._name} holds repeated data of instrument {form}, which it does not define "
                "as repeating."
            )
        self.record.rows.setdefault(self._key, {})

    def _value(self, column: str, value: str) -> None:
        if not value or column == self._design.record_id_field:
            return
        if column == GROUP_COLUMN:
            self.record.group = value
            return
        if column not in self._known:
            column = self._typed_checkbox(column)
        if column in self._checkboxes and value == "0":
            return
        if column in self._files and value not in self._missing_codes:
            self.record.documents[self._key, column] = Document(
                value, "application/octet-stream", None
            )
            return
        if column in self._datetimes and _ODM_DATETIME.match(value):
            value = value.replace("T", " ", 1)
        self.record.rows[self._key][column] = value

    def _typed_checkbox(self, column: str) -> str:
        """Return the column of a checkbox that stands there with its code as it was typed."""
        field_name, _, code = column.partition("___")
        renamed = checkbox_column(field_name, code)
        if renamed not in self._known:
            raise ProjectFileError(
                f"{self._name} holds data of {column}, which it does not define."
            )
        return renamed

    def document(self, text: str) -> None:
        """Keep the file whose base64 text has just ended."""
        try:
            content = base64.b64decode(text)
        except binascii.Error as error:
            raise ProjectFileError(f"{self._name} holds a file that is not base64.") from error
        name = self._item.get("redcap:DocName", "")
        mime_type = self._item.get("redcap:MimeType", "application/octet-stream")
        self.record.documents[self._key, self._item["ItemOID"]] = Document(name, mime_type, content)
