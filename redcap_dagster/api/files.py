"""Files: those of fields, those of the file repository, and PDFs of instruments."""

import io
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import BinaryIO

from redcap_dagster.api.body import Answer
from redcap_dagster.api.call import Call, Upload
from redcap_dagster.api.exports import FILE_REPOSITORY
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.parameters import Value, build_pairs
from redcap_dagster.api.writes import Writes, read_count, read_small_json
from redcap_dagster.errors import ConfigError

_NAME = re.compile(r"""name\s*=\s*(?:"([^"]*)"|'([^']*)'|([^;]+))""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What REDCap says of a file that it sent.

    Attributes:
        name: Its name, without folders; "" when REDCap gave none. Names can tell about people.
        content_type: Media type, such as `application/pdf`.
        size: Bytes.
    """

    name: str = field(repr=False)
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file as REDCap sent it.

    Attributes:
        info: Name, media type and size.
        content: Its bytes.
    """

    info: FileInfo
    content: bytes = field(repr=False)


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
        return self._export(_field_file("export", record, field, event, repeat_instance))

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
        call = _field_file("export", record, field, event, repeat_instance)
        return _file_info(self._sender.stream(call, file))

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
        upload = _upload(file, name, content_type)
        call = _field_file("import", record, field, event, repeat_instance, upload)
        self._sender.send(call, _read_nothing)

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
        call = _field_file("delete", record, field, event, repeat_instance)
        self._sender.send(call, _read_nothing)

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
        return self._sender.send(call, _read_folder_id)

    def export_file_from_repository(self, doc_id: int) -> ExportedFile:
        """A file of the file repository. REDCap 13.1 and later.

        Args:
            doc_id: Its number, from `export_file_repository`.
        """
        return self._export(_repository_file({"action": "export", "doc_id": doc_id}, "file"))

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
        upload = _upload(file, name, content_type)
        values: dict[str, Value] = {"action": "import", "folder_id": folder_id}
        self._sender.send(_repository_file(values, "text", upload), _read_nothing)

    def delete_file_from_repository(self, doc_id: int) -> None:
        """Move a file of the repository to the recycle bin. REDCap 13.1 and later.

        Args:
            doc_id: Its number, from `export_file_repository`.
        """
        values: dict[str, Value] = {"action": "delete", "doc_id": doc_id}
        self._sender.send(_repository_file(values, "text"), _read_nothing)

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
            "record": record,
            "event": event,
            "instrument": instrument,
            "repeat_instance": repeat_instance,
            "allRecords": all_records,
            "compactDisplay": compact_display,
        }
        return self._export(Call("pdf", "file", build_pairs(values), ""))

    def _export(self, call: Call) -> ExportedFile:
        body = io.BytesIO()
        info = _file_info(self._sender.stream(call, body))
        return ExportedFile(info, body.getvalue())


def _field_file(  # noqa: PLR0917 - REDCap names a file by four of them
    action: str,
    record: str,
    field_name: str,
    event: str | None,
    repeat_instance: int | None,
    upload: Upload | None = None,
) -> Call:
    values: dict[str, Value] = {
        "action": action,
        "record": record,
        "field": field_name,
        "event": event,
        "repeat_instance": repeat_instance,
    }
    is_write = action != "export"
    return Call(
        "file",
        "text" if is_write else "file",
        build_pairs(values),
        "",
        upload,
        is_write=is_write,
        may_be_nothing=is_write,
    )


def _repository_file(
    values: Mapping[str, Value], wire_format: str, upload: Upload | None = None
) -> Call:
    is_write = wire_format != "file"
    return Call(
        "fileRepository",
        "text" if is_write else "file",
        build_pairs(values),
        "",
        upload,
        is_write=is_write,
        may_be_nothing=is_write,
        needs=(FILE_REPOSITORY,),
    )


def _upload(file: BinaryIO | bytes, name: str | None, content_type: str | None) -> Upload:
    content = file if isinstance(file, bytes) else file.read()
    if not isinstance(content, bytes):
        raise ConfigError('The file is open as text. Open it in binary mode: open(path, "rb").')
    own_name = getattr(file, "name", None)
    if name is None and isinstance(own_name, str):
        name = PurePath(own_name).name
    if not name:
        raise ConfigError("`name` must say what REDCap shall call the file.")
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Upload(name, content, content_type or guessed)


def _file_info(answer: Answer) -> FileInfo:
    header = answer.headers.get("content-type", "")
    found = _NAME.search(header)
    name = next((part for part in found.groups() if part), "") if found else ""
    # The name is for the caller to write to a disk: it must not lead out of a folder.
    name = PurePath(_as_utf8(name).replace("\\", "/")).name
    return FileInfo(name, header.split(";")[0].strip(), answer.size)


def _as_utf8(name: str) -> str:
    """A name whose UTF-8 came as Latin-1, which is how headers are read."""
    try:
        return name.encode("latin-1").decode()
    except (UnicodeEncodeError, UnicodeDecodeError):
        return name


def _read_nothing(body: bytes) -> Failure | None:
    if not body.strip() or body.strip() in {b"[]", b"1", b'""'}:
        return None
    return Failure("not_as_asked", "an answer came where none is due.", 200)


def _read_folder_id(body: bytes) -> int | Failure:
    answer = read_small_json(body)
    row = answer[0] if isinstance(answer, list) and answer else answer
    if isinstance(row, dict) and "folder_id" in row:
        return read_count(str(row["folder_id"]).encode())
    return Failure("not_as_asked", "the answer names no folder.", 200)
