"""Opens the state file; writes projects into it and finds them again."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import EmulatorError
from redcap_dagster.emulator.state.design_json import design_from_json
from redcap_dagster.emulator.state.log import AuditLog, Clock
from redcap_dagster.emulator.state.schema import SCHEMA, SCHEMA_VERSION
from redcap_dagster.emulator.state.user import Rights, User

_BUSY_SECONDS = 30
_USER_COLUMNS = "project_id, username, token, data_access_group, role, rights, expiration"


class Store:
    """The state file. Safe to use from many threads: every call opens its own connection.

    Args:
        path: The SQLite file.
        clock: The server's local time, for the audit log.

    Attributes:
        audit_log: What writes the projects' logs.
    """

    def __init__(self, path: Path, clock: Clock = datetime.now) -> None:
        self.path = path
        self.audit_log = AuditLog(clock)
        self._one_writer = Lock()
        self._designs: dict[int, tuple[int, Design]] = {}
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
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that is kept whole when the block ends, and undone when it fails."""
        # SQLite's own waiting is a race of sleeps, which some of many writers would lose.
        with self._one_writer, closing(self.connect()) as connection:
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
            kept = self._designs.get(project_id)
            if kept is not None and kept[0] == version:
                return kept[1]
            raw = connection.execute(
                "SELECT design FROM project WHERE project_id = ?", (project_id,)
            ).fetchone()[0]
        design = design_from_json(json.loads(raw))
        self._designs[project_id] = (version, design)
        return design

    def user_of(self, token: str) -> User | None:
        """Return the user whose API token this is, or None."""
        with closing(self.connect()) as connection:
            found = connection.execute(
                f"SELECT {_USER_COLUMNS} FROM user WHERE token = ?",  # noqa: S608 - fixed text
                (token.upper(),),
            ).fetchone()
        return _user(found) if found else None

    def users(self, project_id: int | None = None) -> list[User]:
        """Return the users of one project, or of all of them, in the order they were added."""
        where, values = ("", ()) if project_id is None else (" WHERE project_id = ?", (project_id,))
        with closing(self.connect()) as connection:
            found = connection.execute(
                f"SELECT {_USER_COLUMNS} FROM user"  # noqa: S608 - fixed texts
                f"{where} ORDER BY project_id, rowid",
                values,
            ).fetchall()
        return [_user(user) for user in found]

    def digests(self) -> set[str]:
        """Return the digests of the files the projects were loaded from."""
        with closing(self.connect()) as connection:
            found = connection.execute("SELECT source_digest FROM project").fetchall()
        return {digest for (digest,) in found}


def rights_to_json(rights: Rights) -> str:
    """Return rights as the `rights` column of a user holds them."""
    return json.dumps(asdict(rights))


def _user(row: Sequence[Any]) -> User:
    *place, rights, expiration = row
    project_id, username, token, group, role = place
    return User(
        project_id, username, token or "", group, role, Rights(**json.loads(rights)), expiration
    )
