"""Answers on disk while an export runs, so that a killed one need not be asked for again.

::

    <spool>/<export>/lock                held while it runs
    <spool>/<export>/export.json         where the project's log stood at the beginning
    <spool>/<export>/00007.block         the records and parts of a block
    <spool>/<export>/00007-002.answers   the answers to one of its parts, as REDCap sent them

Files appear whole under their names, or not at all, and are for their owner alone: they hold
patient data. They are gone when the export is published. Each begins with a checksum of its name
and content, so that one which a disk has spoilt, or somebody has edited or copied, is as good as
one that is not there.
"""

import errno
import json
import os
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from typing_extensions import Self

from redcap_dagster.errors import ExportError

_FORMAT = 2
_OWNER_ONLY = 0o700
_EXPORT, _LOCK = "export.json", "lock"
_BLOCK, _ANSWERS = ".block", ".answers"
_IGNORE = ".gitignore"
_DIGITS = 5
_OF_A_BLOCK = re.compile(r"(\d+)(?:-\d+\.answers|\.block)")
_ATTEMPTS = 100
_CHECKSUM_BYTES = len("00000000\n")
_OLDEST_S = 7 * 24 * 3600.0


FOLDER_VARIABLE = "REDCAP_DAGSTER_SPOOL_DIR"
"""Environment variable that names the folder for exports whose tables are not on a local disk."""


def spool_folder(shelf: object) -> Path:
    """Where the answers of exports that are under way are kept, on a local disk.

    Args:
        shelf: Where the tables are published. A folder (`Path`) has them in `.spool` inside it. For
            any other place they are in a folder of this user on this machine, or in the one that
            the environment variable `REDCAP_DAGSTER_SPOOL_DIR` names: where machines share that, a
            restart on another one goes on too.
    """
    if isinstance(shelf, Path):
        return shelf / ".spool"
    named = os.environ.get(FOLDER_VARIABLE)
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(named or f"{tempfile.gettempdir()}/redcap-dagster-spool-{user}")


@dataclass(frozen=True, slots=True)
class Answer:
    """The body that answered one request.

    Attributes:
        first: Number of the first record asked for in its block.
        last: Number after the last.
        instruments: Instruments asked for.
        body: The csv as REDCap sent it.
    """

    first: int
    last: int
    instruments: tuple[str, ...]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SpooledBlock:
    """A block that an earlier run began. Its `repr` shows no id.

    Attributes:
        number: Its number.
        record_ids: Its records.
        parts: Instruments and events of each of its parts.
    """

    number: int
    record_ids: tuple[str, ...] = field(repr=False)
    parts: tuple[tuple[tuple[str, ...], tuple[str, ...] | None], ...]


class Spool:
    """The answers of one export, in a folder of its own.

    A context manager that holds the folder's lock. Where another process exports the same, this one
    takes a folder of its own, which is gone at the end. Answers of other exports that nobody has
    gone on with for a week are removed on the way.

    Args:
        root: On a local disk; made when it is not there.
        key: What is exported: the name of a folder under `root`.
    """

    def __init__(self, root: Path, key: str) -> None:
        self._root = root
        self._folder = root / key
        self._lock = FileLock(self._folder / _LOCK)
        self._is_shared = True

    def __enter__(self) -> Self:
        try:
            for folder in (self._root.parent, self._root):  # the first is a shelf
                folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
            self._refuse_folder_of_others()
        except OSError as error:
            raise self._cannot_keep(error) from None
        try:
            self._remove_old()
            self._is_shared = self._take_folder()
            if not self._is_shared:
                # Such as a run whose worker was lost and that is run again beside what is left.
                name = f"{self._folder.name}-"
                self._folder = Path(tempfile.mkdtemp(prefix=name, dir=self._root))
        except OSError as error:
            raise self._cannot_keep(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_shared:
            shutil.rmtree(self._folder)
            return
        left = [path.name for path in self._folder.iterdir() if path.name != _LOCK]
        if not left:
            with suppress(OSError):  # another export is just beginning here
                (self._folder / _LOCK).unlink(missing_ok=True)
                self._folder.rmdir()
        self._lock.release()

    def _take_folder(self) -> bool:
        """Whether the folder is ours now; False where another export has it.

        One that ends removes it, perhaps at this moment.
        """
        for _ in range(_ATTEMPTS):
            try:
                self._folder.mkdir(mode=_OWNER_ONLY, exist_ok=True)
                self._lock.acquire(timeout=0)
            except Timeout:
                return False
            except (FileNotFoundError, FileExistsError):
                continue
            if (self._folder / _LOCK).exists():
                return True
            self._lock.release()
        return False

    def _refuse_folder_of_others(self) -> None:
        if hasattr(os, "getuid") and self._root.stat().st_uid != os.getuid():
            raise ExportError(
                f"The folder {self._root}, which answers are kept in, belongs to somebody else. "
                f"Set {FOLDER_VARIABLE} to a folder of your own."
            )

    def resume(self) -> Mapping[str, Any] | None:
        """What `begin` was given when the same export was begun before; None to begin anew."""
        content = self._read_json(_EXPORT)
        if content is None or content["format"] != _FORMAT:
            return None
        os.utime(self._folder / _EXPORT)  # somebody goes on with it
        return dict(content["facts"])

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Begin a new export.

        Args:
            facts: What a later run must know; JSON values.
        """
        self.clear()
        # No shelf, which git would ignore, need be around it: partitions have one each.
        self._put(_IGNORE, b"*\n")
        content = {"format": _FORMAT, "facts": facts}
        self._write(_EXPORT, json.dumps(content).encode())

    @property
    def leaves_answers(self) -> bool:
        """Whether there are answers that a later run of the same export finds."""
        return self._is_shared and any(self._folder.glob(f"*{_ANSWERS}"))

    def clear(self) -> None:
        """Remove everything but the lock."""
        for path in self._folder.iterdir():
            if path.name != _LOCK:
                path.unlink()

    def _remove_old(self) -> None:
        for export in self._root.glob(f"*/{_EXPORT}"):
            with suppress(FileNotFoundError, Timeout):  # just removed, or under way
                if time.time() - export.stat().st_mtime > _OLDEST_S:
                    with FileLock(export.with_name(_LOCK), timeout=0):
                        shutil.rmtree(export.parent)

    def blocks(self) -> list[SpooledBlock]:
        """The blocks that were begun, in their order, up to one that is not whole."""
        found: list[SpooledBlock] = []
        while (content := self._read_json(_block_name(len(found)))) is not None:
            parts = tuple(
                (tuple(names), None if events is None else tuple(events))
                for names, events in content["parts"]
            )
            found.append(SpooledBlock(len(found), tuple(content["record_ids"]), parts))
        self._remove_from(len(found))  # other blocks will take these numbers
        return found

    def add_block(self, block: SpooledBlock) -> None:
        """Write down a block before it is asked for."""
        content = {"record_ids": block.record_ids, "parts": block.parts}
        self._write(_block_name(block.number), json.dumps(content).encode())

    def load(self, block: int, part: int) -> list[Answer] | None:
        """The answers to a part of a block; None where they are not there, or not whole."""
        content = self._read(_name(block, part))
        if content is None:
            return None
        head, _, bodies = content.partition(b"\n")
        return list(_cut(bodies, json.loads(head)))

    def save(self, block: int, part: int, answers: Sequence[Answer]) -> None:
        """Keep the answers to a part of a block."""
        head = [[item.first, item.last, item.instruments, len(item.body)] for item in answers]
        bodies = (answer.body for answer in answers)
        self._write(_name(block, part), json.dumps(head).encode(), b"\n", *bodies)

    def _remove_from(self, number: int) -> None:
        for path in self._folder.iterdir():
            block = _OF_A_BLOCK.fullmatch(path.name)
            if block and int(block[1]) >= number:
                path.unlink()

    def _write(self, name: str, *pieces: bytes) -> None:
        self._put(name, _checksum(name, *pieces), *pieces)

    def _put(self, name: str, *pieces: bytes) -> None:
        path = self._folder / name
        half = path.with_name(f".{name}.half")
        try:
            descriptor = os.open(half, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for piece in pieces:
                    file.write(piece)
            half.replace(path)
        except OSError as error:
            raise self._cannot_keep(error) from None

    def _read(self, name: str) -> bytes | None:
        """The content of a file; None where it is not there, or not as it was written."""
        try:
            content = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        checksum, content = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        return content if checksum == _checksum(name, content) else None

    def _read_json(self, name: str) -> dict[str, Any] | None:
        content = self._read(name)
        if content is None:
            return None
        found: dict[str, Any] = json.loads(content)
        return found

    def _cannot_keep(self, error: OSError) -> ExportError:
        advice = "Give another folder, which this user can write in."
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            advice = "Make room; the same export then goes on where it stood."
        return ExportError(
            f"The answers cannot be kept in {self._root} ({error.strerror}). {advice} What readers "
            "see is unchanged."
        )


def _checksum(name: str, *pieces: bytes) -> bytes:
    """A line for the beginning of a file."""
    crc32 = zlib.crc32(name.encode())
    for piece in pieces:
        crc32 = zlib.crc32(piece, crc32)
    return f"{crc32:08x}\n".encode()


def _block_name(block: int) -> str:
    return f"{block:0{_DIGITS}d}{_BLOCK}"


def _name(block: int, part: int) -> str:
    return f"{block:0{_DIGITS}d}-{part:03d}{_ANSWERS}"


def _cut(bodies: bytes, answers: Sequence[Sequence[Any]]) -> Iterator[Answer]:
    start = 0
    for first, last, instruments, size in answers:
        yield Answer(first, last, tuple(instruments), bodies[start : start + size])
        start += size
