"""A shelf in an object store.

::

    <shelf>/extracts/<extract_id>/     <table>.parquet for each table, and manifest.json
    <shelf>/publications/0000000007    the id of the extract that was published as the seventh

Only this module knows these names. Readers see the extract of the highest number. A publication is
one small object that a store makes only where there is none, so of two processes that publish at
once one comes second, and takes over what the first has published. Stores have no locks and no
links, and a number that went up cannot be lost as a pointer that is overwritten can.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from upath import UPath

from redcap_dagster.errors import TableError
from redcap_dagster.tables.location import Location, read_small
from redcap_dagster.tables.manifest import PublishedExtract, table_file
from redcap_dagster.tables.staging import OWNER_ONLY, OvertakenError, Staging, folder_lock

_EXTRACTS = "extracts"
_PUBLICATIONS = "publications"
_DIGITS = 10
_PUBLICATIONS_KEPT = 500
"""Numbers that cannot be taken again: a publisher that is slower than so many others is lost."""
_UPLOAD_LASTS_AT_MOST = timedelta(days=1)


@dataclass(frozen=True)
class ObjectShelf:
    """Extracts in an object store, one of them visible."""

    location: UPath

    def current(self) -> UPath | None:
        """The place of the extract that readers see; None without one."""
        return self.published_as(self.last_number())

    def address(self, extract: PublishedExtract, table: str) -> UPath:
        """Where a table of the extract lies. The place is gone two extracts later.

        Raises:
            TableError: The extract has no such table.
        """
        return self.extract_place(extract.extract_id) / extract.file(table).name

    def begin(self, extract_id: str) -> Staging:
        """Make a folder on this machine to write an extract in.

        Raises:
            TableError: The extract is there already, or another process keeps the folder.
        """
        if self.extract_place(extract_id).exists():
            raise TableError(f"Extract {extract_id} has been published in {self.location} before.")
        root = _staging_root()
        # Extracts of several shelves are written side by side.
        shelf = hashlib.sha256(str(self.location).encode()).hexdigest()[:16]
        with folder_lock(root):
            return Staging.make(root, f"{shelf}-{extract_id}")

    @contextmanager
    def turn(self, staging: Staging) -> Iterator["ObjectTurn"]:
        """Begin to publish. Others may do so too: the first to be ready is first.

        Raises:
            OvertakenError: Another was; begin again.
        """
        number = self.last_number() + 1
        try:
            yield ObjectTurn(self, staging, self.published_as(number - 1), number)
        except FileNotFoundError:
            # What was to be taken over may be gone with those who were faster.
            if self.last_number() >= number:
                raise OvertakenError from None
            raise

    def extract_place(self, extract_id: str) -> UPath:
        """Where an extract lies, or would."""
        return self.location / _EXTRACTS / extract_id

    def last_number(self) -> int:
        """Number of the last publication; 0 without one."""
        names = self._names_in(_PUBLICATIONS)
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def published_as(self, number: int) -> UPath | None:
        """The place of the extract of a publication; None for a number below 1."""
        if number < 1:
            return None
        return self.extract_place(read_small(self._publication(number)).decode())

    def take_number(self, number: int, extract_id: str) -> None:
        """Make an extract the one that readers see.

        Raises:
            OvertakenError: The number is taken.
        """
        publication = self._publication(number)
        try:
            publication.fs.pipe_file(publication.path, extract_id.encode(), mode="create")
        except FileExistsError:
            # The store's client sends again what got no answer, and finds what it sent before.
            if read_small(publication).decode() != extract_id:
                raise OvertakenError from None

    def clear_away(self, number: int, seen: set[str]) -> None:
        """Remove extracts that nobody reads any more, and numbers that nobody will take."""
        fs = self.location.fs
        replaced = self.published_as(number - 2)
        for name in self._names_in(_EXTRACTS):
            is_over = _is_abandoned(name) or (replaced is not None and name == replaced.name)
            if is_over and name not in seen:
                fs.rm(self.extract_place(name).path, recursive=True)
        for name in self._names_in(_PUBLICATIONS):
            if name.isdecimal() and int(name) <= number - _PUBLICATIONS_KEPT:
                fs.rm(self._publication(int(name)).path)

    def _publication(self, number: int) -> UPath:
        return self.location / _PUBLICATIONS / f"{number:0{_DIGITS}}"

    def _names_in(self, folder: str) -> list[str]:
        place = self.location / folder
        try:
            paths = place.fs.ls(place.path, detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in paths]


@dataclass(frozen=True)
class ObjectTurn:
    """One attempt to publish.

    Attributes:
        shelf: The shelf.
        staging: What is to be published.
        previous: Place of the extract that readers see; None without one.
        number: The number the publication will have.
        kept: Files that are taken over, by where they are now.
    """

    shelf: ObjectShelf
    staging: Staging
    previous: UPath | None
    number: int
    kept: list[UPath] = field(default_factory=list)

    def keep(self, file: Location) -> None:
        """Take over a file of the extract before; the store copies it, when all is published."""
        self.kept.append(UPath(file))

    def publish(self, extract: PublishedExtract) -> UPath:
        """Let readers see the staging folder in place of the extract before.

        Returns:
            Where the extract lies now.

        Raises:
            OvertakenError: Somebody else has published since the turn began; nothing was.
            TableError: The store does not hold what it was sent.
        """
        target = self.shelf.extract_place(extract.extract_id)
        self._fill(target)
        self._check(target, extract)
        try:
            self.shelf.take_number(self.number, extract.extract_id)
        except OvertakenError:
            target.fs.rm(target.path, recursive=True)
            raise
        previous = self.previous.name if self.previous else ""
        self.shelf.clear_away(self.number, {extract.extract_id, previous})
        self.staging.end()
        return target

    def _fill(self, target: UPath) -> None:
        new = sorted(self.staging.folder.iterdir())
        target.fs.put([str(path) for path in new], [(target / path.name).path for path in new])
        if self.kept:
            copies = [(target / file.name).path for file in self.kept]
            target.fs.copy([file.path for file in self.kept], copies)

    def _check(self, target: UPath, extract: PublishedExtract) -> None:
        found = {
            name.rpartition("/")[2]: entry["size"]
            for name, entry in target.fs.find(target.path, detail=True).items()
        }
        expected = {
            table_file(target, name).name: table.bytes for name, table in extract.tables.items()
        }
        wrong = [name for name, size in expected.items() if found.get(name) != size]
        if wrong:
            raise TableError(
                f"{len(wrong)} of {len(expected)} files do not lie in {target} as they were sent: "
                f"{', '.join(wrong)}. What readers see is unchanged."
            )


def _staging_root() -> Path:
    """A folder of this user's on this machine, for extracts that are not uploaded yet."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    root = Path(tempfile.gettempdir()) / f"redcap-dagster-staging-{user}"
    root.mkdir(mode=OWNER_ONLY, exist_ok=True)
    if hasattr(os, "getuid") and root.stat().st_uid != os.getuid():
        raise TableError(
            f"The folder {root} belongs to somebody else. Set TMPDIR to a folder of your own."
        )
    return root


def _is_abandoned(extract_id: str) -> bool:
    """Whether an extract was begun so long ago that its upload is not under way any more."""
    found = re.match(r"(\d{8}T\d{6})Z-", extract_id)
    if found is None:
        return False
    begun = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc)
    return datetime.now(timezone.utc) - begun > _UPLOAD_LASTS_AT_MOST
