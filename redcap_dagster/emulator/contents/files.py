"""Files in file fields: export, import, delete."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

from redcap_dagster.emulator.answers import File, Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.place import asked_event, asked_instance, asked_record
from redcap_dagster.emulator.design import Field
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.parameters import Upload
from redcap_dagster.emulator.records.changes import OpenRecord, Place, RecordChanges
from redcap_dagster.emulator.state.documents import (
    PIECE_BYTES,
    StoredDocument,
    add_document,
    delete_document,
    find_document,
    iter_content,
)
from redcap_dagster.emulator.state.user import FULL_EXPORT

_SIGNATURE = "signature"


def export_file(call: Call) -> File:
    """Return the file that a field of a record holds."""
    entry = _file_field(call)
    right = call.rights.export_right(entry.form)
    if not right or (right != FULL_EXPORT and entry.identifier):
        raise RequestRefusedError(
            f"You do not have the right to export the field '{entry.name}'", status=403
        )
    with closing(call.store.connect()) as connection:
        document = _Slot(call, connection, entry).needed("download")
    return file_answer(call, document)


def import_file(call: Call) -> Text:
    """Keep the uploaded file in a field of a record; the instance is made if it is missing."""
    entry = _file_field(call)
    if entry.validation == _SIGNATURE:
        raise RequestRefusedError(
            f"The field '{entry.name}' is a signature field, into which no file can be imported"
        )
    upload = uploaded_file(call)
    with call.store.writing() as connection:
        slot = _Slot(call, connection, entry)
        old = slot.stored()
        document_id = add_document(
            connection,
            call.user.project_id,
            upload.name,
            upload.mime_type,
            read_pieces(upload.file),
        )
        slot.put(str(document_id), "Uploaded Document")
        if old is not None:
            delete_document(connection, old.document_id)
    return Text("")


def delete_file(call: Call) -> Text:
    """Delete the file that a field of a record holds."""
    entry = _file_field(call)
    with call.store.writing() as connection:
        slot = _Slot(call, connection, entry)
        document = slot.needed("delete")
        slot.put("", "Deleted Document")
        delete_document(connection, document.document_id)
    return Text("")


def uploaded_file(call: Call) -> Upload:
    """Return the file sent with the request in the part `file`.

    Raises:
        RequestRefusedError: There is none, or it has no name.
    """
    upload = call.parameters.uploads.get("file")
    if upload is None or not upload.name:
        raise RequestRefusedError("No valid file was uploaded")
    return upload


def read_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's bytes in pieces of the size that is stored."""
    while piece := file.read(PIECE_BYTES):
        yield piece


def file_answer(call: Call, document: StoredDocument) -> File:
    """Return the answer that is a stored file.

    Raises:
        RequestRefusedError: Only its name is known.
    """
    if not document.has_content:
        raise RequestRefusedError(
            "The REDCap emulator has only the name of this file: the project XML was written "
            "without files"
        )
    content = iter_content(call.store, document.document_id)
    return File(document.name, document.mime_type, content)


def _file_field(call: Call) -> Field:
    name = call.parameters.text("field").strip()
    entry = call.design.fields_by_name.get(name)
    if entry is None or entry.field_type != "file":
        raise RequestRefusedError(f"The field '{name}' does not exist or is not a 'file' field")
    return entry


class _Slot:
    """The place of one file: a file field in a row of a record."""

    def __init__(self, call: Call, connection: sqlite3.Connection, entry: Field) -> None:
        self._call = call
        self._connection = connection
        self._field = entry
        self._changes = RecordChanges(
            connection, call.store.audit_log, call.design, call.user, source=""
        )
        self._record = self._find_record()
        self._place = _place(call, entry.form)

    def _find_record(self) -> OpenRecord:
        record_id = asked_record(self._call)
        record = self._changes.find(record_id)
        if record is None:
            raise RequestRefusedError(f'The record "{record_id}" does not exist')
        return record

    def stored(self) -> StoredDocument | None:
        """Return the file that is there, or None."""
        value = self._record.rows.get(self._place, {}).get(self._field.name, "")
        if not value:
            return None
        return find_document(self._connection, self._call.user.project_id, value)

    def needed(self, verb: str) -> StoredDocument:
        """Return the file that must be there."""
        document = self.stored()
        if document is None:
            raise RequestRefusedError(f"There is no file to {verb} for this record")
        return document

    def put(self, value: str, action: str) -> None:
        """Keep the number of another file, or "" for none."""
        self._changes.set_values(self._record, self._place, {self._field.name: value}, action)
        self._changes.store(self._record)


def _place(call: Call, form: str) -> Place:
    """Return the row the request means, or refuse an event or instance the form has not."""
    design = call.design
    event, number = asked_event(call, form), asked_instance(call)
    if design.repeats_as_form(event, form):
        return (event, form, number)
    if design.repeats_as_event(event):
        return (event, "", number)
    if number > 1:
        raise RequestRefusedError(
            f"The instrument '{form}' is not repeating, so there is no repeat instance {number}"
        )
    return (event, "", 0)
