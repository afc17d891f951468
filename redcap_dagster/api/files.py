"""Files: those of fields, those of the file repository, and PDFs of instruments."""

import io
from typing import BinaryIO

from redcap_dagster.api.call import Call
from redcap_dagster.api.exports import FILE_REPOSITORY
from redcap_dagster.api.file_transfer import (
    ExportedFile,
    FileInfo,
    field_file_call,
    file_info,
    read_folder_id,
    read_nothing,
    read_upload,
    repository_file_call,
)
from redcap_dagster.api.parameters import Value, build_pairs, filled
from redcap_dagster.api.writes import Writes


class Files(Writes):
    """Methods for files. Everything REDCap stores is bytes: open files in binary mode."""

    def export_file(
        self,
        record: str,
        field: str,
        *,
        event: str | None = None,
        repeat_instance: int | None = None,
    ) -> ExportedFile:
        """The file in a file or signature field.

        Args:
            record: Record id.
            field: Name of the field.
            event: Unique event name, in a longitudinal project.
            repeat_instance: Number of the instance; None for the first.

        Raises:
            RequestRejectedError: There is no such file, or the token's user may not see it.
        """
        return self._export(field_file_call("export", record, field, event, repeat_instance))

    def stream_file(
        self,
        file: BinaryIO,
        record: str,
        field: str,
        *,
        event: str | None = None,
        repeat_instance: int | None = None,
    ) -> FileInfo:
        """Write the file in a field to an open file while it comes, in bounded memory.

        Args:
            file: Open for binary writing, and able to seek; written from where it stands.
            record: Record id.
            field: Name of the field.
            event: Unique event name, in a longitudinal project.
            repeat_instance: Number of the instance; None for the first.
        """
        call = field_file_call("export", record, field, event, repeat_instance)
        return file_info(self._sender.stream(call, file))

    def import_file(
        self,
        record: str,
        field: str,
        file: BinaryIO | bytes,
        *,
        name: str | None = None,
        content_type: str | None = None,
        event: str | None = None,
        repeat_instance: int | None = None,
    ) -> None:
        """Put a file into a file field, in place of the one that is there.

        Args:
            record: Record id.
            field: Name of the field.
            file: Open for binary reading, or bytes. Read whole, so that a retry can send it again.
            name: What REDCap shall call it; an open file's own name when left out.
            content_type: Media type; guessed from the name when left out.
            event: Unique event name, in a longitudinal project.
            repeat_instance: Number of the instance, which is made if need be.
        """
        upload = read_upload(file, name, content_type)
        call = field_file_call("import", record, field, event, repeat_instance, upload)
        self._sender.send(call, read_nothing)

    def delete_file(
        self,
        record: str,
        field: str,
        *,
        event: str | None = None,
        repeat_instance: int | None = None,
    ) -> None:
        """Delete the file in a field.

        Args:
            record: Record id.
            field: Name of the field.
            event: Unique event name, in a longitudinal project.
            repeat_instance: Number of the instance; None for the first.
        """
        call = field_file_call("delete", record, field, event, repeat_instance)
        self._sender.send(call, read_nothing)

    def create_folder_in_repository(
        self,
        name: str,
        *,
        folder_id: int | None = None,
        dag_id: int | None = None,
        role_id: int | None = None,
    ) -> int:
        """Make a folder in the file repository and return its number. REDCap 13.1 and later.

        Args:
            name: At most 150 characters.
            folder_id: Number of the folder it shall lie in; None for the top.
            dag_id: Number of the data access group that alone may see it.
            role_id: Number of the role that alone may see it.
        """
        values: dict[str, Value] = {
            "action": "createFolder",
            "name": name,
            "folder_id": folder_id,
            "dag_id": dag_id,
            "role_id": role_id,
        }
        call = Call(
            "fileRepository",
            "text",
            build_pairs(values),
            "json",
            is_write=True,
            needs=(FILE_REPOSITORY,),
        )
        return self._sender.send(call, read_folder_id)

    def export_file_from_repository(self, doc_id: int) -> ExportedFile:
        """A file of the file repository. REDCap 13.1 and later.

        Args:
            doc_id: Its number, from `export_file_repository`.
        """
        return self._export(repository_file_call({"action": "export", "doc_id": doc_id}, "file"))

    def import_file_into_repository(
        self,
        file: BinaryIO | bytes,
        *,
        name: str | None = None,
        content_type: str | None = None,
        folder_id: int | None = None,
    ) -> None:
        """Put a file into the file repository. REDCap 13.1 and later.

        Args:
            file: Open for binary reading, or bytes.
            name: What REDCap shall call it; an open file's own name when left out.
            content_type: Media type; guessed from the name when left out.
            folder_id: Number of the folder; None for the top.
        """
        upload = read_upload(file, name, content_type)
        values: dict[str, Value] = {"action": "import", "folder_id": folder_id}
        self._sender.send(repository_file_call(values, "text", upload), read_nothing)

    def delete_file_from_repository(self, doc_id: int) -> None:
        """Move a file of the repository to the recycle bin. REDCap 13.1 and later.

        Args:
            doc_id: Its number, from `export_file_repository`.
        """
        values: dict[str, Value] = {"action": "delete", "doc_id": doc_id}
        self._sender.send(repository_file_call(values, "text"), read_nothing)

    def export_pdf(
        self,
        *,
        record: str | None = None,
        event: str | None = None,
        instrument: str | None = None,
        repeat_instance: int | None = None,
        all_records: bool = False,
        compact_display: bool = False,
    ) -> ExportedFile:
        """A PDF of instruments: blank, of one record, or of all.

        Args:
            record: Record id; None for blank instruments.
            event: Unique event name; None for all.
            instrument: Instrument name; None for all.
            repeat_instance: Number of the instance.
            all_records: Every record; the others are then ignored.
            compact_display: Leave out what has no answer.
        """
        values: dict[str, Value] = {
            "record": filled("record", record),
            "event": filled("event", event),
            "instrument": filled("instrument", instrument),
            "repeat_instance": repeat_instance,
            "allRecords": all_records,
            "compactDisplay": compact_display,
        }
        return self._export(Call("pdf", "file", build_pairs(values), ""))

    def _export(self, call: Call) -> ExportedFile:
        body = io.BytesIO()
        info = file_info(self._sender.stream(call, body))
        return ExportedFile(info, body.getvalue())
