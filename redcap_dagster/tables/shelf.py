"""A shelf: the folder in which a study's extracts are published, and how readers find them.

::

    <shelf>/current                  link to the extract that readers see
    <shelf>/extracts/<extract_id>/   <table>.parquet for each table, and manifest.json
    <shelf>/.staging-<extract_id>/   an extract being written; nobody reads it

Only this module knows these names. A folder appears under `extracts` whole, and `current` changes
in one step, so that a reader sees an old extract or a new one, and nothing between.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from redcap_dagster.errors import TableError
from redcap_dagster.tables.choices import with_categories
from redcap_dagster.tables.manifest import (
    MANIFEST_NAME,
    PublishedExtract,
    read_manifest,
    table_file,
)
from redcap_dagster.tables.parquet import file_sha256, sync_folder

_CURRENT = "current"
_EXTRACTS = "extracts"
_STAGING = ".staging-"
_OWNER_ONLY = 0o700
_LOCK_TIMEOUT_S = 300.0


def has_extract(shelf: Path) -> bool:
    """Whether anything has been published on the shelf."""
    return (Path(shelf) / _CURRENT).is_symlink()


def current_extract(shelf: Path) -> PublishedExtract:
    """The extract that readers see now, by the folder it really lies in.

    Its files stay where they are while the next extract is published, so several tables can be
    read that belong together.

    Raises:
        TableError: Nothing has been published on the shelf.
    """
    if not has_extract(shelf):
        raise TableError(f"Nothing has been published in {shelf}. Materialize the study first.")
    return read_manifest((Path(shelf) / _CURRENT).resolve())


def published_path(shelf: Path, table: str) -> Path:
    """The file of a table that readers see. The same path holds the next extract's table later.

    Raises:
        TableError: Nothing has been published on the shelf, or no such table.
    """
    current_extract(shelf).file(table)
    return table_file(Path(shelf) / _CURRENT, table)


def read_published(shelf: Path, table: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a published table.

    Args:
        shelf: The folder the study's extracts are published in.
        table: Name of the table.
        columns: Names of the columns to read, in the order wanted; None for all.

    Raises:
        TableError: Nothing has been published on the shelf, or no such table or column.
    """
    with pq.ParquetFile(current_extract(shelf).file(table)) as file:
        if columns is None:
            return with_categories(file.read())
        unknown = [name for name in columns if name not in file.schema_arrow.names]
        if unknown:
            raise TableError(f"Table {table} has no column {', '.join(unknown)}.")
        return with_categories(file.read(columns=list(columns)).select(list(columns)))


def verify_extract(folder: Path) -> tuple[str, ...]:
    """Compare the files of an extract with its manifest.

    Returns:
        One sentence for each table that is missing or was changed, and each file that does not
        belong there; empty when the extract is as it was published.

    Raises:
        TableError: The folder has no manifest that can be read.
    """
    extract = read_manifest(Path(folder))
    findings = []
    for name, table in extract.tables.items():
        path = table_file(extract.path, name)
        if not path.exists():
            findings.append(f"The file of table {name} is missing.")
        elif path.stat().st_size != table.bytes or file_sha256(path) != table.sha256:
            findings.append(f"The file of table {name} is not the one that was published.")
    expected = {MANIFEST_NAME, *(table_file(extract.path, name).name for name in extract.tables)}
    strangers = sorted(path.name for path in extract.path.iterdir() if path.name not in expected)
    findings += [f"The file {name} does not belong to the extract." for name in strangers]
    return tuple(findings)


@dataclass(frozen=True)
class Staging:
    """An extract's folder while it is written: nobody else writes in it, nobody reads it.

    Attributes:
        shelf: The shelf it will be published on.
        extract_id: Name of the extract.
        owner: Held while the folder is in use, so that the folder of a process that died can be
            told from one that is being written.
    """

    shelf: Path
    extract_id: str
    owner: FileLock

    @classmethod
    def begin(cls, shelf: Path, extract_id: str) -> "Staging":
        """Make the folder, and clear away those of processes that died.

        Raises:
            TableError: The shelf cannot be written to, or the extract is there already.
        """
        with writing_to(shelf):
            shelf.mkdir(parents=True, exist_ok=True, mode=_OWNER_ONLY)
            with shelf_lock(shelf):
                _remove_abandoned(shelf)
                staging = cls(shelf, extract_id, _owner_lock(shelf, extract_id))
                if (shelf / _EXTRACTS / extract_id).exists():
                    raise TableError(f"Extract {extract_id} has been published in {shelf} before.")
                staging.owner.acquire(timeout=0)
                staging.folder.mkdir(mode=_OWNER_ONLY)
        return staging

    @property
    def folder(self) -> Path:
        """Where the extract's files are written."""
        return self.shelf / f"{_STAGING}{self.extract_id}"

    def publish(self) -> Path:
        """Let readers see the folder in place of the one before; the shelf must be locked.

        Returns:
            Where the extract lies now.
        """
        target = self.shelf / _EXTRACTS / self.extract_id
        target.parent.mkdir(exist_ok=True, mode=_OWNER_ONLY)
        previous = _linked_extract(self.shelf)
        sync_folder(self.folder)
        self.folder.rename(target)
        sync_folder(target.parent)
        _point_current_at(self.shelf, self.extract_id)
        _remove_but(self.shelf, {self.extract_id, previous})
        self.end()
        return target

    def end(self) -> None:
        """Remove what is left of the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.owner.release()
        Path(self.owner.lock_file).unlink(missing_ok=True)


@contextmanager
def shelf_lock(shelf: Path) -> Iterator[None]:
    """Let one process at a time begin or publish an extract.

    Raises:
        TableError: Another process keeps the shelf for minutes.
    """
    lock = FileLock(shelf / ".lock", mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=_LOCK_TIMEOUT_S)
    except Timeout:
        raise TableError(
            f"Another process has been publishing in {shelf} for {_LOCK_TIMEOUT_S:.0f} seconds. "
            "Nothing was published; try again when it is done."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing_to(shelf: Path) -> Iterator[None]:
    """Turn a failure of the file system into a `TableError` that says what readers see."""
    try:
        yield
    except OSError as error:
        raise TableError(
            f"Tables could not be written in {shelf}: {error.strerror or type(error).__name__}. "
            "What readers see is unchanged."
        ) from error


def _owner_lock(shelf: Path, extract_id: str) -> FileLock:
    return FileLock(shelf / f"{_STAGING}{extract_id}.lock", mode=0o600, thread_local=False)


def _remove_abandoned(shelf: Path) -> None:
    names = {path.name.removesuffix(".lock") for path in shelf.glob(f"{_STAGING}*")}
    for name in names:
        extract_id = name.removeprefix(_STAGING)
        staging = Staging(shelf, extract_id, _owner_lock(shelf, extract_id))
        try:
            staging.owner.acquire(timeout=0)
        except Timeout:
            continue  # being written
        staging.end()


def _linked_extract(shelf: Path) -> str | None:
    current = shelf / _CURRENT
    return current.readlink().name if current.is_symlink() else None


def _point_current_at(shelf: Path, extract_id: str) -> None:
    link = shelf / f".{_CURRENT}-{extract_id}"
    link.symlink_to(Path(_EXTRACTS) / extract_id, target_is_directory=True)
    try:
        link.replace(shelf / _CURRENT)
    except OSError:
        link.unlink()
        raise
    sync_folder(shelf)


def _remove_but(shelf: Path, kept: set[str | None]) -> None:
    for folder in (shelf / _EXTRACTS).iterdir():
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)
