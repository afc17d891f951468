"""Files in the state: their bytes stand in pieces, so that no file is ever in memory whole."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from redcap_dagster.emulator.state.store import Store

PIECE_BYTES = 1 << 18


@dataclass(frozen=True)
class StoredDocument:
    """A file that was uploaded, or that came with a project XML.

    Attributes:
        document_id: Its number.
        name: Its file name.
        mime_type: Such as `image/png`.
        has_content: False where the project XML held only its name.
    """

    document_id: int
    name: str
    mime_type: str
    has_content: bool


def add_document(
    connection: sqlite3.Connection,
    project_id: int,
    name: str,
    mime_type: str,
    content: Iterable[bytes] | None,
) -> int:
    """Keep a file and return its number.

    Args:
        connection: An open transaction.
        project_id: The project it belongs to.
        name: Its file name.
        mime_type: Its type.
        content: Its bytes in pieces; None where they are not known.
    """
    cursor = connection.execute(
        "INSERT INTO document (project_id, name, mime_type, has_content) VALUES (?, ?, ?, ?)",
        (project_id, name, mime_type, content is not None),
    )
    document_id = cursor.lastrowid or 0
    connection.executemany(
        "INSERT INTO document_piece (document_id, position, content) VALUES (?, ?, ?)",
        ((document_id, position, piece) for position, piece in enumerate(content or ())),
    )
    return document_id


def pieces_of(content: bytes) -> Iterator[bytes]:
    """Yield bytes in pieces of the size that is stored."""
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


def find_document(
    connection: sqlite3.Connection, project_id: int, document_id: str | int
) -> StoredDocument | None:
    """Return a file of a project, or None when it has no file of that number."""
    found = connection.execute(
        "SELECT document_id, name, mime_type, has_content FROM document"
        " WHERE project_id = ? AND document_id = ?",
        (project_id, document_id),
    ).fetchone()
    return StoredDocument(found[0], found[1], found[2], bool(found[3])) if found else None


def iter_content(store: Store, document_id: int) -> Iterator[bytes]:
    """Yield the bytes of a file in pieces; b"" once for an empty file."""
    with closing(store.connect()) as connection:
        found = connection.execute(
            "SELECT content FROM document_piece WHERE document_id = ? ORDER BY position",
            (document_id,),
        )
        empty = True
        for (piece,) in found:
            yield piece
            empty = False
    if empty:
        yield b""


def delete_document(connection: sqlite3.Connection, document_id: int) -> None:
    """Delete a file with its bytes."""
    connection.execute("DELETE FROM document WHERE document_id = ?", (document_id,))
