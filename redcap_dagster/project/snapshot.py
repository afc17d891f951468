"""The file that keeps a study's design: frozen values to JSON and back, written in one step.

Knows dataclasses and JSON, not what a study is: `model.py` imports this file.
"""

import functools
import json
import os
import types
import typing
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from redcap_dagster.errors import SnapshotError

SCHEMA_VERSION = 1
"""Version of the file's shape. A reader refuses any other."""

_FORMAT = "redcap-dagster project snapshot"
SNAPSHOT_COMMANDS = (
    "`redcap-dagster snapshot FILE`, or `dg utils refresh-defs-state` where a component keeps it"
)
"""What writes a snapshot, for messages."""

_ADVICE = f"Write it anew with {SNAPSHOT_COMMANDS}."

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Turn frozen values into dicts, lists and scalars that JSON can hold.

    An attribute that equals its default is left out, so that a later version may add an attribute
    without changing what older designs look like.
    """
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    attributes = _attributes(value.__class__)
    if attributes is None:
        return value
    plain = {}
    for name, default in attributes:
        item = getattr(value, name)
        if default is MISSING or item != default:
            plain[name] = to_plain(item)
    return plain


@functools.cache
def _attributes(kind: Any) -> tuple[tuple[str, Any], ...] | None:
    """Names and defaults of a dataclass's attributes; None of another type."""
    return tuple((item.name, item.default) for item in fields(kind)) if is_dataclass(kind) else None


def write_snapshot(path: Path, design: dict[str, Any]) -> None:
    """Write a plain design to `path` in one step: readers see the old file or the whole new one.

    Raises:
        SnapshotError: The file cannot be written.
    """
    if path.is_dir():
        raise SnapshotError(f"{path} is a folder. Name the file to write in it.")
    content = {"format": _FORMAT, "schema_version": SCHEMA_VERSION, "project": design}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with part.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written, nothing was
            part.unlink(missing_ok=True)
        raise SnapshotError(
            f"The snapshot {path} cannot be written: {error.strerror}. Name a file in a folder "
            "that is there, that you may write in and that has room."
        ) from error


def read_snapshot(path: Path, kind: type[T]) -> T:
    """Read what `write_snapshot` wrote back into a value of the dataclass `kind`.

    Raises:
        SnapshotError: The file is missing, cut short, of another version, or not a snapshot.
    """
    content = _read_json(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise SnapshotError(f"{path} is not a snapshot of a REDCap project. {_ADVICE}")
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise SnapshotError(
            f"The snapshot {path} has schema version {version!r}, and this version of "
            f"redcap-dagster reads {SCHEMA_VERSION} only. {_ADVICE}"
        )
    try:
        value: T = _from_plain(kind, content["project"])
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotError(
            f"The snapshot {path} was changed by hand or by another version: "
            f"its contents do not make a project. {_ADVICE}"
        ) from error
    return value


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SnapshotError(
            f"There is no snapshot {path}. Write it with {SNAPSHOT_COMMANDS}."
        ) from None
    except OSError as error:
        raise SnapshotError(f"The snapshot {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise SnapshotError(f"The snapshot {path} is cut short or not JSON. {_ADVICE}") from error


# A dictionary has thousands of fields of one class, and looking its annotations up is slow.
_type_hints = functools.cache(typing.get_type_hints)


def _from_plain(kind: Any, plain: Any) -> Any:
    """Build a value of the annotated type `kind`. Raises TypeError where `plain` does not fit."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _type_hints(kind)
        if not isinstance(plain, dict) or not plain.keys() <= hints.keys():
            raise TypeError(str(kind))
        return kind(**{name: _from_plain(hints[name], item) for name, item in plain.items()})
    if origin is tuple:
        if not isinstance(plain, list):
            raise TypeError(str(kind))
        return tuple(_from_plain(arguments[0], item) for item in plain)
    if origin is typing.Literal:
        fits = plain in arguments
    else:
        allowed = arguments if origin is types.UnionType else (kind,)
        fits = type(plain) in allowed
    if not fits:
        raise TypeError(str(kind))
    return plain
