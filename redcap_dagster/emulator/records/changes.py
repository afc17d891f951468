"""Writes values into the stored rows of records, and into the log what changed."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.names import checkbox_column, natural_key
from redcap_dagster.emulator.records.cells import full_event_label
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.emulator.state.log import AuditLog
from redcap_dagster.emulator.state.user import User

Place = tuple[str, str, int]
"""Unique event name, repeating instrument, instance."""


@dataclass
class OpenRecord:
    """A record in the middle of a change.

    Attributes:
        record_id: Its id.
        group: Unique name of its data access group, or "".
        is_new: Whether it is being created.
        rows: Place → column → value; blanks and unticked boxes are left out.
        changed: The places whose rows differ from what is stored, and the columns that do.
    """

    record_id: str
    group: str
    is_new: bool
    rows: dict[Place, dict[str, str]] = field(default_factory=dict, repr=False)
    changed: dict[Place, set[str]] = field(default_factory=dict)

    def next_instance(self, event: str, instrument: str) -> int:
        """Return the number after the highest one of what repeats."""
        numbers = [place[2] for place in self.rows if place[:2] == (event, instrument)]
        return max(numbers, default=0) + 1

    def stored_rows(self) -> list[StoredRow]:
        """Return the rows as exports read them."""
        return [
            StoredRow(self.record_id, self.group, *place, cells)
            for place, cells in self.rows.items()
        ]


class RecordChanges:
    """Changes records inside one transaction.

    Args:
        connection: What `Store.writing` gave.
        audit_log: Where changes are told.
        design: The project's design.
        user: Who changes.
        source: What the log says after `Create record` and `Update record`: `(API)`, or "".
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        audit_log: AuditLog,
        design: Design,
        user: User,
        source: str = "(API)",
    ) -> None:
        self._connection = connection
        self._audit_log = audit_log
        self._design = design
        self._user = user
        self._source = source
        self._boxes = dict(_iter_boxes(design))
        self._files = [entry.name for entry in design.fields if entry.field_type == "file"]

    def find(self, record_id: str) -> OpenRecord | None:
        """Read a record, or None when there is none."""
        where = (self._user.project_id, record_id)
        found = self._connection.execute(
            "SELECT data_access_group FROM record WHERE project_id = ? AND record_id = ?", where
        ).fetchone()
        if found is None:
            return None
        rows = self._connection.execute(
            "SELECT event, instrument, instance, cells FROM row"
            " WHERE project_id = ? AND record_id = ?",
            where,
        )
        cells = {(event, form, number): json.loads(text) for event, form, number, text in rows}
        return OpenRecord(record_id, found[0], is_new=False, rows=cells)

    def create(self, record_id: str, group: str) -> OpenRecord:
        """Create a record without rows."""
        self._connection.execute(
            "INSERT INTO record (project_id, record_id, sort_key, data_access_group, changed_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (
                self._user.project_id,
                record_id,
                natural_key(record_id),
                group,
                self._audit_log.now(),
            ),
        )
        return OpenRecord(record_id, group, is_new=True)

    def set_values(
        self,
        record: OpenRecord,
        place: Place,
        values: Mapping[str, str],
        action: str = "Update record",
    ) -> None:
        """Set values of one row, which is made if it is not there; the log tells what changed.

        Args:
            record: The record.
            place: The row.
            values: Column → value; "" or an unticked box erases.
            action: What the log calls it, where the record is not new.
        """
        is_new_row = place not in record.rows
        cells = record.rows.setdefault(place, {})
        details = []
        for column, value in values.items():
            is_box = column in self._boxes
            kept = "" if is_box and value == "0" else value
            before = cells.get(column, "")
            if before == kept:
                continue
            if kept:
                cells[column] = kept
            else:
                del cells[column]
            record.changed.setdefault(place, set()).add(column)
            details.append(self._detail(column, kept))
            if column in self._files and before:
                self._delete_documents({column: before})
        if is_new_row:
            record.changed.setdefault(place, set())
        if details or is_new_row:
            self._tell(record, place, details, action)

    def set_group(self, record: OpenRecord, group: str) -> None:
        """Put a record into a data access group, or with "" into none."""
        if record.group == group:
            return
        record.group = group
        self._connection.execute(
            "UPDATE record SET data_access_group = ? WHERE project_id = ? AND record_id = ?",
            (group, self._user.project_id, record.record_id),
        )
        verb = "Assign record to" if group else "Remove record from"
        details = f"{verb} Data Access Group (redcap_data_access_group = '{group}')"
        self._write("Update record", details, record.record_id)

    def delete_rows(
        self, record: OpenRecord, places: Sequence[Place], *, keep_record: bool = False
    ) -> None:
        """Delete rows of a record, and the record with its last row.

        Args:
            record: The record.
            places: The rows.
            keep_record: Whether a record stays, with a base row, when its last row is deleted.
        """
        where = (self._user.project_id, record.record_id)
        if len(places) == len(record.rows) and not keep_record:
            self._delete(record)
            return
        for place in places:
            erased = [column for column in record.rows[place] if self._is_told(column)]
            details = [self._detail(column, "") for column in erased]
            self._delete_documents(record.rows.pop(place))
            record.changed.pop(place, None)
            self._connection.execute(
                "DELETE FROM row WHERE project_id = ? AND record_id = ?"
                " AND event = ? AND instrument = ? AND instance = ?",
                (*where, *place),
            )
            self._tell(record, place, details, "Update record")
        if places and not record.rows:
            self.set_values(record, (places[0][0], "", 0), {})
            self.store(record)

    def rename(self, record: OpenRecord, new_id: str, places: Sequence[Place]) -> None:
        """Give rows of a record to a new record; all of them make it a new name."""
        old = (self._user.project_id, record.record_id)
        now = self._audit_log.now()
        self._connection.execute(
            "INSERT INTO record (project_id, record_id, sort_key, data_access_group, changed_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (old[0], new_id, natural_key(new_id), record.group, now),
        )
        for place in places:
            self._connection.execute(
                "UPDATE row SET record_id = ? WHERE project_id = ? AND record_id = ?"
                " AND event = ? AND instrument = ? AND instance = ?",
                (new_id, *old, *place),
            )
        if len(places) == len(record.rows):
            self._connection.execute(
                "DELETE FROM record WHERE project_id = ? AND record_id = ?", old
            )
            self._connection.execute(
                "UPDATE allocation SET record_id = ? WHERE record_id = ? AND randomization_id IN"
                " (SELECT randomization_id FROM randomization WHERE project_id = ?)",
                (new_id, record.record_id, old[0]),
            )
            self._connection.execute(
                "UPDATE log SET record_id = ? WHERE project_id = ? AND record_id = ?",
                (new_id, *old),
            )
        self._write("Update record", f"{self._design.record_id_field} = '{new_id}'", new_id)

    def _delete(self, record: OpenRecord) -> None:
        for cells in record.rows.values():
            self._delete_documents(cells)
        self._connection.execute(
            "DELETE FROM record WHERE project_id = ? AND record_id = ?",
            (self._user.project_id, record.record_id),
        )
        # Without `(API)`, as the log of a server has it.
        details = f"{self._design.record_id_field} = '{record.record_id}'"
        self._audit_log.write(
            self._connection, self._user, "Delete record", details, record.record_id
        )

    def _delete_documents(self, cells: Mapping[str, str]) -> None:
        numbers = [(self._user.project_id, cells[name]) for name in self._files if name in cells]
        self._connection.executemany(
            "DELETE FROM document WHERE project_id = ? AND document_id = ?", numbers
        )

    def _is_told(self, column: str) -> bool:
        return column in self._design.column_forms

    def store(self, record: OpenRecord) -> None:
        """Write the rows that changed."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO row (project_id, record_id, event, instrument, instance, cells)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    self._user.project_id,
                    record.record_id,
                    *place,
                    json.dumps(record.rows[place], ensure_ascii=False),
                )
                for place in record.changed
            ],
        )

    def _tell(self, record: OpenRecord, place: Place, details: list[str], action: str) -> None:
        event, _, instance = place
        if record.is_new:
            action = "Create record"
            details = [f"{self._design.record_id_field} = '{record.record_id}'", *details]
            record.is_new = False
        if instance:
            details = [f"[instance = {instance}]", *details]
        label = full_event_label(self._design, event) if event else ""
        self._write(action, ", ".join(details), record.record_id, label)

    def _write(self, action: str, details: str, record_id: str, event_label: str = "") -> None:
        self._audit_log.write(
            self._connection,
            self._user,
            f"{action} {self._source}".rstrip(),
            details,
            record_id,
            event_label=event_label,
        )

    def _detail(self, column: str, value: str) -> str:
        box = self._boxes.get(column)
        if box is None:
            return f"{column} = '{value}'"
        field_name, code = box
        return f"{field_name}({code}) = {'checked' if value else 'unchecked'}"


def _iter_boxes(design: Design) -> Iterator[tuple[str, tuple[str, str]]]:
    for entry in design.fields:
        for choice in design.checkbox_choices(entry):
            yield checkbox_column(entry.name, choice.code), (entry.name, choice.code)
