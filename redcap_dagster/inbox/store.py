"""The file between the receiver of triggers and the change sensor: SQLite, so both may run."""

import hmac
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from redcap_dagster.errors import ConfigError

_KEPT = timedelta(days=7)
_TABLE = """
CREATE TABLE IF NOT EXISTS triggers (
    received_at TEXT NOT NULL, project_id INTEGER NOT NULL, record TEXT NOT NULL, form TEXT NOT NULL
)
"""


class TriggerInbox:
    """What the data entry trigger said: when, project, form, and a digest of the record id.

    The digest tells two records apart and says nothing else: its key is made anew by every
    object and kept nowhere. Entries go after seven days.

    Args:
        path: The file; made when something is added to it, for its owner alone.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._key = secrets.token_bytes(32)

    def prepare(self) -> None:
        """Make the file where it is not there.

        Raises:
            ConfigError: It cannot be made, or is no inbox.
        """
        with self._open_to_add() as database:
            database.execute(_TABLE)

    def add(self, project_id: int, record_id: str, form: str) -> None:
        """Add one trigger, received now.

        Raises:
            ConfigError: It cannot be written down.
        """
        now = datetime.now(timezone.utc)
        digest = hmac.digest(self._key, record_id.encode(), "sha256").hex()[:32]
        with self._open_to_add() as database:
            database.execute(_TABLE)
            database.execute("DELETE FROM triggers WHERE received_at < ?", [_text(now - _KEPT)])
            database.execute(
                "INSERT INTO triggers VALUES (?, ?, ?, ?)", [_text(now), project_id, digest, form]
            )

    def newest(self, project_id: int) -> datetime | None:
        """When the last trigger of a project came, in UTC; None when none is there.

        Raises:
            ConfigError: The file is no inbox, or cannot be read.
        """
        if not self._path.exists():
            return None
        with self._open() as database:
            database.execute(_TABLE)
            (text,) = database.execute(
                "SELECT max(received_at) FROM triggers WHERE project_id = ?", [project_id]
            ).fetchone()
        return None if text is None else datetime.fromisoformat(text)

    @contextmanager
    def _open_to_add(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        except OSError as error:
            raise self._unusable(error.strerror or type(error).__name__) from error
        with self._open() as database:
            yield database

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from error

    def _unusable(self, reason: str) -> ConfigError:
        return ConfigError(
            f"The inbox {self._path} cannot be used: {reason}. Name a file that this user can "
            "write, where there is room, and that is not there or was made by an inbox."
        )


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
