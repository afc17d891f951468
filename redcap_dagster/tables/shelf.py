"""A shelf: the place in which a study's extracts are published, and how readers find them.

It is a folder (`folder_shelf`) or lies in an object store (`object_shelf`). Either way an extract
becomes visible whole and in one step, the one before it stays for those who are reading it, and a
reader that has found an extract finds all its tables.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from upath import UPath

from redcap_dagster.errors import ConfigError, TableError
from redcap_dagster.tables.choices import with_categories
from redcap_dagster.tables.folder_shelf import FolderShelf
from redcap_dagster.tables.location import (
    Location,
    open_parquet,
    read_side_by_side,
    reading_from,
    to_location,
)
from redcap_dagster.tables.manifest import (
    MANIFEST_NAME,
    PublishedExtract,
    is_as_written,
    read_manifest,
    table_file,
)
from redcap_dagster.tables.object_shelf import ObjectShelf
from redcap_dagster.tables.parquet import file_sha256
from redcap_dagster.tables.staging import Staging


class Turn(Protocol):
    """One attempt to publish on a shelf."""

    @property
    def previous(self) -> Location | None:
        """Place of the extract that readers see; None without one."""

    def keep(self, file: Location) -> None:
        """Take over a file of the extract before."""

    def publish(self, extract: PublishedExtract) -> Location:
        """Let readers see what was written, and return where it lies."""


class Shelf(Protocol):
    """What publishing and reading need of a kind of place."""

    @property
    def location(self) -> Location:
        """The place."""

    def current(self) -> Location | None:
        """The place of the extract that readers see; None without one."""

    def address(self, extract: PublishedExtract, table: str) -> Location:
        """Where readers find a table of the extract."""

    def begin(self, extract_id: str) -> Staging:
        """Make a folder to write an extract in."""

    def turn(self, staging: Staging) -> AbstractContextManager[Turn]:
        """Begin to publish; raises `OvertakenError` where somebody else was faster."""


def open_shelf(place: str | Path | UPath) -> Shelf:
    """The shelf of a folder or of a place in an object store; nothing is read or made.

    Raises:
        ConfigError: Another kind of place, or one whose client is not installed.
    """
    location = to_location(place)
    return FolderShelf(location) if isinstance(location, Path) else ObjectShelf(location)


def has_extract(shelf: str | Path | UPath) -> bool:
    """Whether anything has been published on the shelf."""
    opened = open_shelf(shelf)
    with reading_from(opened.location):
        return opened.current() is not None


def current_extract(shelf: str | Path | UPath) -> PublishedExtract:
    """The extract that readers see now, by the place it really lies in.

    Its files stay where they are while the next extract is published, so several tables can be
    read that belong together.

    Raises:
        TableError: Nothing has been published on the shelf.
    """
    extract = find_extract(shelf)
    if extract is None:
        raise TableError(f"Nothing has been published in {shelf}. Materialize the study first.")
    return extract


def find_extract(shelf: str | Path | UPath) -> PublishedExtract | None:
    """The extract that readers see now; None when nothing has been published.

    Raises:
        TableError: There is one, and it cannot be read.
    """
    opened = open_shelf(shelf)
    with reading_from(opened.location):
        place = opened.current()
        return None if place is None else read_manifest(place)


def find_extracts(
    shelves: Sequence[str | Path | UPath],
) -> tuple[PublishedExtract | None, ...]:
    """What `find_extract` gives for each of several shelves, read side by side.

    Raises:
        TableError: One of them cannot be read.
    """
    return read_side_by_side(find_extract, shelves)


def find_shelves(place: str | Path | UPath) -> list[Location]:
    """A study's own shelf and those of its partitions inside it, where there is an extract."""
    location = to_location(place)
    with reading_from(location):
        inside: list[Location] = list(location.iterdir()) if location.is_dir() else []
    places = (location, *sorted(inside, key=str))
    found = read_side_by_side(has_extract, places)
    return [place for place, is_shelf in zip(places, found, strict=True) if is_shelf]


def published_path(shelf: str | Path | UPath, table: str) -> Location:
    """The file of a table that readers see.

    In a folder the same path holds the next extract's table later; in an object store the file is
    gone two extracts later.

    Raises:
        TableError: Nothing has been published on the shelf, or no such table.
    """
    return open_shelf(shelf).address(current_extract(shelf), table)


def read_published(
    shelf: str | Path | UPath, table: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read a published table.

    Args:
        shelf: The place the study's extracts are published in: a folder, or `s3://…`.
        table: Name of the table.
        columns: Names of the columns to read, in the order wanted; None for all.

    Raises:
        TableError: Nothing has been published on the shelf, or no such table or column.
        ConfigError: `columns` is a text.
    """
    return read_table(current_extract(shelf), table, columns)


def read_table(
    extract: PublishedExtract, table: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read a table of an extract, as `read_published` does of the one that readers see.

    Raises:
        TableError: No such table or column.
        ConfigError: `columns` is a text.
    """
    if isinstance(columns, str):
        raise ConfigError("`columns` is one text. Give a list of names.")
    path = extract.file(table)
    with reading_from(path), open_parquet(path) as file:
        if columns is None:
            return with_categories(file.read())
        unknown = [name for name in columns if name not in file.schema_arrow.names]
        if unknown:
            raise TableError(f"Table {table} has no column {', '.join(unknown)}.")
        return with_categories(file.read(columns=list(columns)).select(list(columns)))


def verify_extract(place: str | Path | UPath) -> tuple[str, ...]:
    """Compare the files of an extract with its manifest, and that with what it was.

    Args:
        place: Where the extract lies, `PublishedExtract.path`.

    Returns:
        One sentence for each table that is missing or was changed, each file that does not
        belong there, and a changed manifest; empty when the extract is as it was published.

    Raises:
        TableError: The place has no manifest that can be read.
    """
    location = to_location(place)
    with reading_from(location):
        extract = read_manifest(location)
        return (
            *find_changed_files(extract).values(),
            *find_strange_files(extract),
            *find_changed_manifest(extract),
        )


def find_changed_files(extract: PublishedExtract) -> dict[str, str]:
    """A sentence for each table whose file is missing or is not the one that was published."""
    with reading_from(extract.path):
        sizes = {path.name: path.stat().st_size for path in extract.path.iterdir()}
        findings = {}
        for name, table in extract.tables.items():
            path = table_file(extract.path, name)
            if path.name not in sizes:
                findings[name] = f"The file of table {name} is missing."
            elif sizes[path.name] != table.bytes or file_sha256(path) != table.sha256:
                findings[name] = f"The file of table {name} is not the one that was published."
    return findings


def find_strange_files(extract: PublishedExtract) -> tuple[str, ...]:
    """A sentence for each file of the extract's folder that does not belong there."""
    expected = {MANIFEST_NAME, *(table_file(extract.path, name).name for name in extract.tables)}
    with reading_from(extract.path):
        strangers = sorted({path.name for path in extract.path.iterdir()} - expected)
    return tuple(f"The file {name} does not belong to the extract." for name in strangers)


def find_changed_manifest(extract: PublishedExtract) -> tuple[str, ...]:
    """A sentence where the manifest is not the one that was written."""
    with reading_from(extract.path):
        return () if is_as_written(extract.path) else ("The manifest is not as it was written.",)
