"""Files on the wire: what is sent, and what an answer says of the file in it."""

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
from redcap_dagster.api.writes import read_count, read_small_json
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


def field_file_call(  # noqa: PLR0917 - REDCap names a file by four of them
    action: str,
    record: str,
    field_name: str,
    event: str | None,
    repeat_instance: int | None,
    upload: Upload | None = None,
) -> Call:
    """The call that exports, imports or deletes the file in a field."""
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


def repository_file_call(
    values: Mapping[str, Value], wire_format: str, upload: Upload | None = None
) -> Call:
    """The call that exports (`file`), imports or deletes (`text`) a file of the repository."""
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


def read_upload(file: BinaryIO | bytes, name: str | None, content_type: str | None) -> Upload:
    """A file to send: its bytes, its name and its media type.

    Raises:
        ConfigError: It is no open file, or open as text, or has no name.
    """
    if not isinstance(file, bytes) and not hasattr(file, "read"):
        raise ConfigError('`file` must be bytes or an open file: open(path, "rb").')
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


def file_info(answer: Answer) -> FileInfo:
    """What the header of an answer says of the file in it."""
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


def read_nothing(body: bytes) -> Failure | None:
    """Success, which has no body; a failure when there is one."""
    if not body.strip() or body.strip() in {b"[]", b"1", b'""'}:
        return None
    return Failure("not_as_asked", "an answer came where none is due.", 200)


def read_folder_id(body: bytes) -> int | Failure:
    """The number of a new folder."""
    answer = read_small_json(body)
    row = answer[0] if isinstance(answer, list) and answer else answer
    if isinstance(row, dict) and "folder_id" in row:
        return read_count(str(row["folder_id"]).encode())
    return Failure("not_as_asked", "the answer names no folder.", 200)
