"""The audit log of a project: what was done, by whom, to which record.

REDCap stores seconds and shows minutes. An action is a description, a blank and the record id; the
blank stays where there is no record.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime

from redcap_dagster.emulator.state.user import User

Clock = Callable[[], datetime]

_TIME = "%Y-%m-%d %H:%M:%S"


class AuditLog:
    """Writes the logs of all projects.

    Args:
        clock: Tells the server's local time.
    """

    def __init__(self, clock: Clock = datetime.now) -> None:
        self.clock = clock

    def now(self) -> str:
        """Return the server's time as REDCap writes it, with seconds."""
        return self.clock().strftime(_TIME)

    def write(
        self,
        connection: sqlite3.Connection,
        user: User,
        action: str,
        details: str = "",
        record_id: str = "",
        *,
        event_label: str = "",
    ) -> None:
        """Write one line, in the transaction that makes the change it tells of.

        Args:
            connection: What `Store.writing` gave.
            user: Who acts, and in which project.
            action: Such as `Update record (API)`, without a blank at the end and without the id.
            details: What changed.
            record_id: The record, or "".
            event_label: The event of a longitudinal project, `Event 1 (Arm 1: Arm 1)`, or "".
        """
        connection.execute(
            "INSERT INTO log (project_id, at, username, action, details, record_id, event_label)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                user.project_id,
                self.now(),
                user.username,
                action,
                details.replace("\r\n", "\n").replace("\n", "  "),
                record_id,
                event_label,
            ),
        )
