"""The contents of files in fields: each is kept once, under its SHA-256, while a row names it.

::

    attachments/ab/ab12…                             a content
    attachments/ab/ab12….unnamed-20261122T080000Z    since when no row was found to name it
"""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from io import RawIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, TypeVar, cast
from uuid import uuid4

from redcap_dagster.tables import Location, file_sha256, keep_out_of_git

Told = TypeVar("Told")

_RUN_LASTS_AT_MOST = timedelta(days=1)
_MARK = ".unnamed-"
_STAMP = "%Y%m%dT%H%M%SZ"


class TooLargeError(Exception):
    """A content is larger than what is kept."""


@dataclass(frozen=True)
class AttachmentContents:
    """The folder of a study's contents, which several runs may use at once.

    Attributes:
        folder: The folder, or its place in an object store.
    """

    folder: Location

    def keep(self, write: Callable[[BinaryIO], Told], largest_bytes: int) -> tuple[str, Told]:
        """Keep a content: it is written to this machine's disk and put into its place in one step.

        Args:
            write: Writes the content to a file.
            largest_bytes: Most bytes that are taken.

        Returns:
            The content's SHA-256, and what `write` gave.

        Raises:
            TooLargeError: There are more; nothing is kept.
        """
        with self._part() as part:
            with _CappedFile(part, largest_bytes) as file:
                told = write(cast("BinaryIO", file))  # in all that streaming needs
            digest = file_sha256(part)
            self._put(part, self.place(digest))
        for mark in self.place(digest).parent.glob(f"{digest}{_MARK}*"):
            mark.unlink(missing_ok=True)
        return digest, told

    def place(self, digest: str) -> Location:
        """Where a content lies, or would."""
        return self.folder / digest[:2] / digest

    def clear_away(self, named: Collection[str]) -> None:
        """Remove contents that nobody can need any more.

        That no row names a content proves nothing yet: another run may have kept it and not
        published its table, or take it over from a table that was replaced since, and readers may
        be looking at that table. So a content that is found unnamed is marked with the time, and
        goes when it is found so again a day later, by when such runs and readers are done. A mark
        goes when the content is named, or kept, again. Object stores have no locks that could say
        who is at work; this needs none.

        Args:
            named: SHA-256 of what the table that readers see names, or that of this run.
        """
        now = datetime.now(timezone.utc)
        marks: dict[str, list[Location]] = {}
        for path in self.folder.glob("*/*"):
            digest, is_mark, _ = path.name.partition(_MARK)
            marks.setdefault(digest, []).extend([path] if is_mark else [])
        for digest, found in marks.items():
            if digest in named:
                _remove(found)
            elif not found:
                self._mark(digest, now)
            elif now - max(map(_marked_at, found)) >= _RUN_LASTS_AT_MOST:
                _remove([self.place(digest), *found])

    def _mark(self, digest: str, now: datetime) -> None:
        place = self.place(digest)
        place.with_name(f"{digest}{_MARK}{now.strftime(_STAMP)}").write_bytes(b"")

    @contextmanager
    def _part(self) -> Iterator[Path]:
        """A file of its own to fetch into: where it can be renamed, or to be uploaded."""
        if isinstance(self.folder, Path):
            self._make(self.folder)
            part = self.folder / f".part-{uuid4().hex}"
            try:
                yield part
            finally:
                part.unlink(missing_ok=True)
        else:
            with TemporaryDirectory(prefix="redcap-dagster-") as own:
                yield Path(own, "part")

    def _make(self, folder: Path) -> None:
        """The folder, ignored by git from before the first content: no shelf is around it yet."""
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            keep_out_of_git(folder)

    def _put(self, part: Path, target: Location) -> None:
        if isinstance(target, Path):
            target.parent.mkdir(mode=0o700, exist_ok=True)
            part.replace(target)
        else:
            target.fs.put_file(str(part), target.path)


def _marked_at(mark: Location) -> datetime:
    return datetime.strptime(mark.name.partition(_MARK)[2], _STAMP).replace(tzinfo=timezone.utc)


def _remove(paths: Collection[Location]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)  # another run may be at it too


class _CappedFile(RawIOBase):
    """A file that takes so many bytes and then refuses."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__()
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._most = most

    def write(self, data: Any) -> int:
        if self._file.tell() + len(data) > self._most:
            raise TooLargeError
        return self._file.write(data)

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def close(self) -> None:
        self._file.close()
        super().close()
