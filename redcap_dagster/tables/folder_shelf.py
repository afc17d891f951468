"""A shelf in a folder.

::

    <shelf>/current                  link to the extract that readers see
    <shelf>/extracts/<extract_id>/   <table>.parquet for each table, and manifest.json
    <shelf>/.gitignore               keeps patient data out of a repository that the shelf lies in

Only this module knows these names. A folder appears under `extracts` whole, and `current` changes
in one step, so that a reader sees an old extract or a new one, and nothing between.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redcap_dagster.errors import TableError
from redcap_dagster.tables.location import Location
from redcap_dagster.tables.manifest import PublishedExtract
from redcap_dagster.tables.parquet import sync_folder
from redcap_dagster.tables.staging import (
    OWNER_ONLY,
    Staging,
    folder_lock,
    keep_out_of_git,
)

_CURRENT = "current"
_EXTRACTS = "extracts"


@dataclass(frozen=True)
class FolderShelf:
    """Extracts in a folder, one of them visible."""

    location: Path

    def current(self) -> Path | None:
        """The folder of the extract that readers see; None without one, or when it was removed."""
        link = self.location / _CURRENT
        return link.resolve() if link.is_symlink() and link.exists() else None

    def address(self, extract: PublishedExtract, table: str) -> Path:
        """Where readers find a table, from the root. The same path holds the next extract's later.

        Raises:
            TableError: The extract has no such table.
        """
        return self.location.absolute() / _CURRENT / extract.file(table).name

    def begin(self, extract_id: str) -> Staging:
        """Make a folder to write an extract in.

        Raises:
            TableError: The extract is there already, another process keeps the shelf, or something
                else stands where readers look.
        """
        link = self.location / _CURRENT
        if link.exists() and not link.is_symlink():
            raise TableError(f"{link} was not made here. Move it away, or give another folder.")
        self.location.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY)
        with folder_lock(self.location):
            self._keep_out_of_git()
            if (self.location / _EXTRACTS / extract_id).exists():
                raise TableError(
                    f"Extract {extract_id} has been published in {self.location} before."
                )
            return Staging.make(self.location, extract_id)

    def _keep_out_of_git(self) -> None:
        """Until something is published; then the file is its owner's matter."""
        if self.current() is None:
            keep_out_of_git(self.location)

    @contextmanager
    def turn(self, staging: Staging) -> Iterator["FolderTurn"]:
        """Let one process at a time publish.

        Raises:
            TableError: Another process keeps the shelf for minutes.
        """
        with folder_lock(self.location):
            yield FolderTurn(self.location, staging, self.current())


@dataclass(frozen=True)
class FolderTurn:
    """The time in which nobody else publishes on the shelf.

    Attributes:
        shelf: The shelf's folder.
        staging: What is to be published.
        previous: Folder of the extract that readers see till then; None without one.
    """

    shelf: Path
    staging: Staging
    previous: Path | None

    def keep(self, file: Location) -> None:
        """Take over a file of the extract before, without copying it where that works."""
        source, target = Path(str(file)), self.staging.folder / file.name
        try:
            os.link(source, target)
        except OSError:
            # Not every file system has hard links.
            shutil.copy2(source, target)

    def publish(self, extract: PublishedExtract) -> Path:
        """Let readers see the staging folder in place of the extract before.

        Returns:
            Where the extract lies now.
        """
        staging = self.staging
        target = self.shelf / _EXTRACTS / extract.extract_id
        target.parent.mkdir(exist_ok=True, mode=OWNER_ONLY)
        sync_folder(staging.folder)
        with ExitStack() as on_failure:
            on_failure.callback(self._remove_unseen, target)
            staging.folder.rename(target)
            sync_folder(target.parent)
            point_link(self.shelf / _CURRENT, target)
            on_failure.pop_all()
        kept = {target.name, self.previous.name if self.previous else None}
        for folder in target.parent.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        staging.end()
        return target

    def _remove_unseen(self, target: Path) -> None:
        """Leave nothing of an extract that readers were not given: the disk may be full."""
        if FolderShelf(self.shelf).current() != target.resolve():
            shutil.rmtree(target, ignore_errors=True)


def point_link(link: Path, folder: Path) -> None:
    """Let a link lead to a folder somewhere below the link's own, in one step."""
    new = link.with_name(f".{link.name}-{folder.name}")
    new.symlink_to(folder.relative_to(link.parent), target_is_directory=True)
    try:
        new.replace(link)
    except OSError:
        new.unlink()
        raise
    sync_folder(link.parent)
