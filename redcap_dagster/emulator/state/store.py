"""Opens the state file; writes projects into it and finds them again."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redcap_dagster.emulator.design import Design, design_from_json
from redcap_dagster.emulator.errors import EmulatorError
from redcap_dagster.emulator.state.schema import SCHEMA, SCHEMA_VERSION

_BUSY_SECONDS = 30


@dataclass(frozen=True)
class User:
    """A user of one project, as the API token tells."""

    project_id: int
    username: str
    token: str
    data_access_group: str
    role: str

    def __repr__(self) -> str:
        """Leave out the token."""
        return f"User(project_id={self.project_id}, username={self.username!r})"


class Store:
    """The state file. Safe to use from many threads: every call opens its own connection."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._designs: dict[tuple[int, int], Design] = {}
        try:
            self._create()
        except sqlite3.DatabaseError as error:
            raise EmulatorError(f"{path} is not a state file of the emulator: {error}.") from error

    def _create(self) -> None:
        with closing(self.connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        with self.writing() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise EmulatorError(
                    f"{self.path} was written by another version of the emulator. Give another "
                    "file, or delete this one."
                )

    def connect(self) -> sqlite3.Connection:
        """Open a connection; the caller closes it."""
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that is kept whole when the block ends, and undone when it fails."""
        with closing(self.connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def design(self, project_id: int) -> Design:
        """Return the design of a project; kept in memory until it changes."""
        with closing(self.connect()) as connection:
            version = connection.execute(
                "SELECT design_version FROM project WHERE project_id = ?", (project_id,)
            ).fetchone()[0]
            key = (project_id, version)
            if key not in self._designs:
                raw = connection.execute(
                    "SELECT design FROM project WHERE project_id = ?", (project_id,)
                ).fetchone()[0]
                self._designs[key] = design_from_json(json.loads(raw))
        return self._designs[key]

    def user_of(self, token: str) -> User | None:
        """Return the user whose API token this is, or None."""
        with closing(self.connect()) as connection:
            found = connection.execute(
                "SELECT project_id, username, token, data_access_group, role FROM user"
                " WHERE token = ?",
                (token.upper(),),
            ).fetchone()
        return User(*found) if found else None

    def users(self, project_id: int | None = None) -> list[User]:
        """Return the users of one project, or of all of them, in the order they were added."""
        where, values = ("", ()) if project_id is None else (" WHERE project_id = ?", (project_id,))
        with closing(self.connect()) as connection:
            found = connection.execute(
                "SELECT project_id, username, token, data_access_group, role FROM user"  # noqa: S608
                f"{where} ORDER BY project_id, rowid",
                values,
            ).fetchall()
        return [User(*user) for user in found]

    def digests(self) -> set[str]:
        """Return the digests of the files the projects were loaded from."""
        with closing(self.connect()) as connection:
            found = connection.execute("SELECT source_digest FROM project").fetchall()
        return {digest for (digest,) in found}
