"""The manifest of a published extract: what was published, and how to tell that it is whole."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import index
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from upath import UPath

from redcap_dagster.errors import TableError
from redcap_dagster.tables.location import Location, read_small
from redcap_dagster.tables.parquet import file_sha256

AnyLocation = TypeVar("AnyLocation", Path, UPath, Location)

MANIFEST_NAME = "manifest.json"
_FORMAT = "redcap-dagster extract"
_FORMAT_VERSION = 1
DEIDENTIFICATION_FACT = "deidentification"
"""The manifest's entry of what was taken out of the tables."""

_FIELDS_OF_THE_DESIGN = frozenset({"dropped_fields", "shifted_fields"})
_DIGEST = "manifest_sha256"
"""The last entry: SHA-256 of the manifest without it."""

_OWN_KEYS = frozenset({"format", "format_version", "extract_id", "tables", _DIGEST})
_WITH_DIGEST = re.compile(rf'(.*),\n  "{_DIGEST}": "([0-9a-f]{{64}})"\n}}\n', re.DOTALL)


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One table of an extract.

    Attributes:
        rows: Rows of the table.
        bytes: Size of its file.
        sha256: Of the file's bytes, 64 hex digits.
        extract_id: The extract that wrote the file; an older one where it was kept.
        columns: Column name → Arrow type, in the table's order.
    """

    rows: int
    bytes: int
    sha256: str
    extract_id: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class PublishedExtract:
    """An extract that readers see.

    Attributes:
        path: Its folder, or its place in an object store, with one `<table>.parquet` for each
            table and the manifest.
        extract_id: Its name.
        tables: Every table a reader finds, by name; also those kept from an older extract.
        facts: What else the manifest says: what the caller gave, and the conservation proof.
    """

    path: Location
    extract_id: str
    tables: Mapping[str, PublishedTable]
    facts: Mapping[str, Any]

    def file(self, table: str) -> Location:
        """The Parquet file of a table.

        Raises:
            TableError: The extract has no such table.
        """
        if table not in self.tables:
            raise TableError(
                f"There is no table {table} in {self.path}. It has: "
                f"{', '.join(sorted(self.tables)) or 'none'}."
            )
        return table_file(self.path, table)


def how_deidentified(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """How the tables of a manifest were de-identified; None where they were not.

    Options and the key's fingerprint, by which extracts are told apart that must not be mixed.
    Names of the fields that were left out or shifted are not in it: they change with the design.
    """
    fact = facts.get(DEIDENTIFICATION_FACT)
    if fact is None:
        return None
    return {name: value for name, value in fact.items() if name not in _FIELDS_OF_THE_DESIGN}


def table_file(folder: AnyLocation, table: str) -> AnyLocation:
    """Where a table lies in an extract's folder."""
    return folder / f"{table}.parquet"


def describe_file(path: Path, schema: pa.Schema, rows: int, extract_id: str) -> PublishedTable:
    """What the manifest says of a finished Parquet file.

    Args:
        path: The file.
        schema: Its columns. Reading them from it would cost as much as writing thousands of cells.
        rows: How many it has.
        extract_id: The extract that it was made for.
    """
    return PublishedTable(
        rows=rows,
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
        extract_id=extract_id,
        columns={
            name: str(column_type)
            for name, column_type in zip(schema.names, schema.types, strict=True)
        },
    )


def write_manifest(folder: Path, extract: PublishedExtract) -> None:
    """Write an extract's manifest into a folder, in place of an earlier one.

    Raises:
        TableError: A fact has a name of the manifest's own.
    """
    clash = _OWN_KEYS & extract.facts.keys()
    if clash:
        raise TableError(f"The manifest has entries of its own named {', '.join(sorted(clash))}.")
    content = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "extract_id": extract.extract_id,
        "tables": {name: _as_plain(table) for name, table in extract.tables.items()},
        **extract.facts,
    }
    path = folder / MANIFEST_NAME
    text = _as_lines(content, depth=2).removesuffix("\n}")
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(f'{text},\n  "{_DIGEST}": "{_digest(text)}"\n}}\n')
        file.flush()
        os.fsync(file.fileno())


def is_as_written(folder: Location) -> bool:
    """Whether a manifest is the one that was written, to the letter.

    True as well where it does not say what it was, as one of an older version.
    """
    text = read_small(folder / MANIFEST_NAME).decode("utf-8")
    found = _WITH_DIGEST.fullmatch(text)
    return found[2] == _digest(found[1]) if found else f'"{_DIGEST}"' not in text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _as_plain(table: PublishedTable) -> dict[str, object]:
    # Not `asdict`, which copies every column's name and type one by one.
    return {item.name: getattr(table, item.name) for item in fields(table)}


def _as_lines(content: object, depth: int, margin: str = "") -> str:
    """JSON with a line for each entry of the outer objects.

    Python's own indentation is slow, and a study of thousands of columns is long.
    """
    if depth == 0 or not isinstance(content, dict) or not content:
        return json.dumps(content, ensure_ascii=False)
    inner = margin + "  "
    lines = [
        f"{inner}{json.dumps(name, ensure_ascii=False)}: {_as_lines(value, depth - 1, inner)}"
        for name, value in content.items()
    ]
    return "{\n" + ",\n".join(lines) + f"\n{margin}}}"


def read_manifest(folder: Location) -> PublishedExtract:
    """Read an extract's manifest.

    Raises:
        TableError: There is none, or it is not one that this version can read.
    """
    path = folder / MANIFEST_NAME
    try:
        content = json.loads(read_small(path))
    except (FileNotFoundError, NotADirectoryError):
        raise TableError(
            f"{folder} holds no extract: it has no {MANIFEST_NAME}. Remove the folder, then run "
            "the extract again."
        ) from None
    except ValueError:
        raise TableError(
            f"{path} is cut short or no manifest. Remove its folder, then run the extract again."
        ) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise TableError(f"{path} is not the manifest of a redcap-dagster extract.")
    version = content.get("format_version")
    if version != _FORMAT_VERSION:
        raise TableError(
            f"{path} has format version {version}; this version of redcap-dagster reads "
            f"{_FORMAT_VERSION}. Run the extract again."
        )
    try:
        tables = {name: _read_table(table) for name, table in content["tables"].items()}
        extract_id = _text(content["extract_id"])
    except (AttributeError, KeyError, TypeError):
        raise TableError(
            f"{path} is not as it was written: what it says of its tables is no more whole. "
            "Remove its folder, then run the extract again."
        ) from None
    return PublishedExtract(
        path=folder,
        extract_id=extract_id,
        tables=tables,
        facts={name: fact for name, fact in content.items() if name not in _OWN_KEYS},
    )


def _read_table(plain: Mapping[str, Any]) -> PublishedTable:
    """What a manifest says of a table.

    Raises:
        AttributeError, KeyError, TypeError: Something is not there, or of another type.
    """
    return PublishedTable(
        rows=index(plain["rows"]),
        bytes=index(plain["bytes"]),
        sha256=_text(plain["sha256"]),
        extract_id=_text(plain["extract_id"]),
        columns={name: _text(kind) for name, kind in plain["columns"].items()},
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
