"""A folder in which an extract is written, and what is left of those of processes that died.

::

    <root>/.staging-<extract_id>/       an extract being written; nobody reads it
    <root>/.staging-<extract_id>.lock   held by whoever writes it
    <root>/.lock                        held to begin one, or to publish one from here
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from redcap_dagster.errors import TableError

OWNER_ONLY = 0o700
FILE_OF_OWNER = 0o600
LONGEST_WAIT_S = 300.0
"""How long one extract waits for others that are being published."""

_PREFIX = ".staging-"


class OvertakenError(Exception):
    """Somebody else has published since a turn began, and nothing was: begin again."""


@dataclass(frozen=True)
class Staging:
    """An extract's folder while it is written: nobody else writes in it, nobody reads it.

    Attributes:
        root: The folder it lies in, on this machine.
        extract_id: Name of the extract.
        owner: Held while the folder is in use, so that the folder of a process that died can be
            told from one that is being written.
    """

    root: Path
    extract_id: str
    owner: FileLock

    @classmethod
    def make(cls, root: Path, extract_id: str) -> "Staging":
        """Make the folder, and clear away those of processes that died; the root must be locked."""
        _remove_abandoned(root)
        staging = cls(root, extract_id, _owner_lock(root, extract_id))
        staging.owner.acquire(timeout=0)
        staging.folder.mkdir(mode=OWNER_ONLY)
        return staging

    @property
    def folder(self) -> Path:
        """Where the extract's files are written."""
        return self.root / f"{_PREFIX}{self.extract_id}"

    def end(self) -> None:
        """Remove what is left of the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.owner.release()
        Path(self.owner.lock_file).unlink(missing_ok=True)


def keep_out_of_git(folder: Path) -> None:
    """Let git ignore a folder and all that comes into it; a file that is there already stays."""
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
        ignore.chmod(FILE_OF_OWNER)


@contextmanager
def folder_lock(root: Path) -> Iterator[None]:
    """Let one process at a time begin or publish an extract.

    Raises:
        TableError: Another process keeps the folder for minutes.
    """
    lock = FileLock(root / ".lock", mode=FILE_OF_OWNER, thread_local=False)
    try:
        lock.acquire(timeout=LONGEST_WAIT_S)
    except Timeout:
        raise TableError(
            f"Another process has been publishing in {root} for {LONGEST_WAIT_S:.0f} seconds. "
            "Nothing was published; try again when it is done."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _owner_lock(root: Path, extract_id: str) -> FileLock:
    return FileLock(root / f"{_PREFIX}{extract_id}.lock", mode=FILE_OF_OWNER, thread_local=False)


def _remove_abandoned(root: Path) -> None:
    names = {path.name.removesuffix(".lock") for path in root.glob(f"{_PREFIX}*")}
    for name in names:
        extract_id = name.removeprefix(_PREFIX)
        staging = Staging(root, extract_id, _owner_lock(root, extract_id))
        try:
            staging.owner.acquire(timeout=0)
        except Timeout:
            continue  # being written
        staging.end()
