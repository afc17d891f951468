"""Copies of a published extract in other formats, for readers that take no Parquet.

::

    <shelf>/csv/       <table>.csv for each table, and manifest.json
    <shelf>/duckdb/    study.duckdb with every table, and manifest.json

Each is a link to a folder that is there whole, as `current` is. They are made from the published
tables, so that they hold the same.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from redcap_dagster.destinations import Destination, load_extract
from redcap_dagster.errors import ConfigError, DestinationError, TableError
from redcap_dagster.tables import (
    Location,
    PublishedExtract,
    current_extract,
    file_sha256,
    folder_lock,
    open_parquet,
    point_link,
)

CopyFormat = Literal["csv", "duckdb"]
"""What an extract can be copied to."""

DUCKDB_FILE = "study.duckdb"
_MANIFEST = "manifest.json"
_OWNER_ONLY = 0o700
_FILE_OF_OWNER = 0o600
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class PublishedCopy:
    """A copy that readers see.

    Attributes:
        path: Its folder.
        extract_id: The extract that it was made from.
        files: Name of each file → SHA-256 of its bytes, 64 hex digits.
    """

    path: Path
    extract_id: str
    files: Mapping[str, str]


def check_can_copy(shelf: Location, kind: CopyFormat) -> None:
    """Find out before an extract whether its copy can be made.

    Raises:
        ConfigError: A library is not installed, or the shelf is in an object store.
    """
    if not isinstance(shelf, Path):
        raise ConfigError(
            f"{kind} is made in a folder only. Extract Parquet tables there, or {kind} into a "
            "folder."
        )
    if kind == "duckdb" and find_spec("duckdb") is None:
        raise ConfigError(
            "A DuckDB file needs duckdb. Install it with: pip install 'redcap-dagster[duckdb]'"
        )


def publish_copy(shelf: Path, kind: CopyFormat) -> PublishedCopy:
    """Copy the extract that readers see, and let them see the copy in place of the last one.

    Args:
        shelf: The folder the study's extracts are published in.
        kind: The format.

    Raises:
        ConfigError: It cannot be made there.
        TableError: Nothing has been published, or the copy could not be written. The tables are
            published all the same, and nothing is left of the copy.
    """
    check_can_copy(shelf, kind)
    link, store = shelf / kind, shelf / f".{kind}"
    if link.exists() and not link.is_symlink():
        raise TableError(f"{link} was not made here. Move it away, then run it again.")
    with _copying_to(link):
        store.mkdir(exist_ok=True, mode=_OWNER_ONLY)
    with _copying_to(link), folder_lock(store):
        extract = current_extract(shelf)
        kept = link.readlink().name if link.is_symlink() else None
        _remove_but(store, kept)
        folder = store / extract.extract_id
        if kept != extract.extract_id:
            with ExitStack() as on_failure:
                on_failure.callback(shutil.rmtree, folder, ignore_errors=True)
                folder.mkdir(mode=_OWNER_ONLY)
                _WRITERS[kind](extract, folder)
                _write_manifest(folder, extract.extract_id)
                point_link(link, folder)
                on_failure.pop_all()
    return read_copy(folder)


@contextmanager
def _copying_to(link: Path) -> Iterator[None]:
    """Turn a failure into one that says what became of the tables and of the copy.

    Raises:
        TableError: In place of the failure.
    """
    try:
        yield
    except (OSError, DestinationError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        free = shutil.disk_usage(link.parent).free
        raise TableError(
            f"The tables are published; their copy in {link} could not be made: "
            f"{reason.rstrip('.')}. {free / 1e6:,.0f} MB are free there. "
            "Nothing is left of it, and what was there before is unchanged."
        ) from error


def read_copy(folder: Path) -> PublishedCopy:
    """What the manifest of a copy says.

    Raises:
        TableError: The folder has no manifest that can be read.
    """
    try:
        content = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return PublishedCopy(folder, content["extract_id"], dict(content["files"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{folder} holds no copy of an extract; make it again.") from error


def find_copies(shelf: Location) -> dict[CopyFormat, Path]:
    """The folders of the copies that readers see on a shelf; an object store has none."""
    if not isinstance(shelf, Path):
        return {}
    return {kind: (shelf / kind).resolve() for kind in _WRITERS if (shelf / kind).is_symlink()}


def is_of_extract(folder: Path, extract: PublishedExtract) -> bool:
    """Whether a copy was made from an extract; False as well where it cannot be read."""
    try:
        return read_copy(folder).extract_id == extract.extract_id
    except TableError:
        return False


def verify_copy(folder: Path, extract: PublishedExtract) -> tuple[str, ...]:
    """Compare a copy with its manifest and its extract.

    Returns:
        A sentence for each thing that is wrong; none when nothing is.
    """
    try:
        copy = read_copy(folder)
    except TableError as error:
        return (str(error),)
    findings = []
    if copy.extract_id != extract.extract_id:
        findings.append(f"It was made from the extract {copy.extract_id}, an older one.")
    for name, sha256 in copy.files.items():
        path = copy.path / name
        if not path.exists():
            findings.append(f"The file {name} is missing.")
        elif file_sha256(path) != sha256:
            findings.append(f"The file {name} is not the one that was published.")
    strangers = {path.name for path in copy.path.iterdir()} - {_MANIFEST, *copy.files}
    findings += [f"The file {name} does not belong to the copy." for name in sorted(strangers)]
    return tuple(findings)


def _write_csv(extract: PublishedExtract, folder: Path) -> None:
    for name in extract.tables:
        path = folder / f"{name}.csv"
        path.touch(mode=_FILE_OF_OWNER)
        with open_parquet(extract.file(name)) as source:
            _refuse_lists(name, source.schema_arrow)
            _write_rows(source, path)


def _refuse_lists(table: str, schema: pa.Schema) -> None:
    lists = [field.name for field in schema if pa.types.is_list(field.type)]
    if lists:
        raise TableError(
            f"Table {table} has lists in {', '.join(lists)}, which a csv cannot hold. The tables "
            "are published; make a copy in DuckDB, or extract with checkboxes='columns'."
        )


def _write_rows(source: pq.ParquetFile, path: Path) -> None:
    with csv.CSVWriter(path, source.schema_arrow) as target:
        for rows in source.iter_batches(_ROWS_AT_ONCE):
            target.write_batch(rows)


def _write_duckdb(extract: PublishedExtract, folder: Path) -> None:
    path = folder.resolve() / DUCKDB_FILE
    # The schema in which DuckDB looks for a table that is named without one.
    load_extract(extract, Destination(f"duckdb:///{quote(str(path))}", schema="main"))
    path.with_name(f"{DUCKDB_FILE}.lock").unlink(missing_ok=True)


_WRITERS: dict[CopyFormat, Callable[[PublishedExtract, Path], None]] = {
    "csv": _write_csv,
    "duckdb": _write_duckdb,
}


def _write_manifest(folder: Path, extract_id: str) -> None:
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    content = {"extract_id": extract_id, "files": files}
    descriptor = os.open(folder / _MANIFEST, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_OF_OWNER)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)


def _remove_but(store: Path, kept: str | None) -> None:
    """Take away what is no longer seen, and what a process that died left half-written."""
    for folder in store.iterdir():
        if folder.is_dir() and folder.name != kept:
            shutil.rmtree(folder)
