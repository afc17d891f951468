"""Finding the value that a reference means, by looking through the rows of one record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from redcap_dagster.logic.setting import Setting
from redcap_dagster.logic.shape import (
    DATA_ACCESS_GROUP_COLUMN,
    EVENT_COLUMN,
    REPEAT_INSTANCE_COLUMN,
    REPEAT_INSTRUMENT_COLUMN,
    column_name,
)
from redcap_dagster.logic.smart import (
    SMART_VARIABLES,
    event_text,
    project_text,
    timestamp_text,
)
from redcap_dagster.logic.tree import Reference

Row = Mapping[str, str]


@dataclass(frozen=True)
class RecordView:
    """One row of a record, seen among the record's other rows.

    Attributes:
        row: The row that logic is evaluated on; an absent column is blank.
        record_rows: Every row of the record, in any order.
        setting: The circumstances.
    """

    row: Row = field(repr=False)
    record_rows: Sequence[Row] = field(repr=False)
    setting: Setting = field(repr=False)

    def text_of(self, reference: Reference) -> str:
        """The text that a reference means; "" where there is none, "0" for a checkbox."""
        if reference.is_smart:
            return self._smart_text(reference)
        shape = self.setting.shape
        if shape.project is None or shape.is_record_id(reference.name):
            found: Row | None = self.row
        else:
            found = self._find_row(reference, shape.instrument_of(reference.name) or "")
        text = "" if found is None else found.get(column_name(reference), "")
        # A box on a row without its form, or left blank by a missing data code, is not ticked.
        return "0" if reference.code is not None and text == "" else text

    def _smart_text(self, reference: Reference) -> str:
        shape, name = self.setting.shape, reference.name
        source = SMART_VARIABLES[name].source
        if source == "record" and shape.project is not None:
            return self.row.get(shape.project.record_id_field, "")
        if source == "group":
            return self.row.get(DATA_ACCESS_GROUP_COLUMN, "")
        if source == "event":
            return event_text(name, self._event(self.row), shape)
        if source == "instance":
            return self._instance_text(name.removesuffix("-instance"))
        if source == "instrument":
            return self._instrument_text(name)
        if source == "timestamp":
            instrument = reference.modifiers[0]
            found = self._find_row(reference, instrument)
            stored = "" if found is None else found.get(f"{instrument}_timestamp", "")
            return timestamp_text(name, stored)
        return project_text(name, shape)

    def _instrument_text(self, name: str) -> str:
        instrument = self.setting.instrument or ""
        project = self.setting.shape.project
        if name == "instrument-name" or project is None:
            return instrument
        return project.instruments_by_name[instrument].label

    def _instance_text(self, position: str) -> str:
        own = instance_number(self.row)
        if own == 0:
            return ""
        event, instrument = self._event(self.row), self._repeat_instrument(self.row)
        number = self._instance_at(position, event, instrument)
        is_there = number and self._find(event, instrument, number) is not None
        return str(number) if is_there or position == "new" else ""

    def _find_row(self, reference: Reference, instrument: str) -> Row | None:
        shape = self.setting.shape
        current = self._event(self.row)
        event = shape.target_event(reference.event, current, instrument)
        if event is None:
            return None
        mode = shape.repeat_mode(instrument, event)
        if mode == "ordinary":
            return None if reference.instance else self._find(event, "", 0)
        repeated = instrument if mode == "instrument" else ""
        if reference.instance is None:
            is_own = event == current and self._repeat_instrument(self.row) == repeated
            return self.row if is_own and instance_number(self.row) else None
        if reference.instance.isdigit():
            number = int(reference.instance)
        else:
            position = reference.instance.removesuffix("-instance")
            number = self._instance_at(position, event, repeated)
        return self._find(event, repeated, number) if number else None

    def _instance_at(self, position: str, event: str, instrument: str) -> int:
        """Number of the instance at a position; 0 where there is none."""
        own = instance_number(self.row)
        if position in {"current", "previous", "next"}:
            step = {"current": 0, "previous": -1, "next": 1}[position]
            return max(0, own + step) if own else 0
        numbers = [
            instance_number(row)
            for row in self.record_rows
            if (self._event(row), self._repeat_instrument(row)) == (event, instrument)
            and instance_number(row)
        ]
        if position == "first":
            return min(numbers, default=0)
        return max(numbers, default=0) + (1 if position == "new" else 0)

    def _find(self, event: str, instrument: str, instance: int) -> Row | None:
        # The row itself comes first, so that a row sent twice still sees its own values.
        for row in (self.row, *self.record_rows):
            place = self._event(row), self._repeat_instrument(row), instance_number(row)
            if place == (event, instrument, instance):
                return row
        return None

    def _event(self, row: Row) -> str:
        return row.get(EVENT_COLUMN, "") if self.setting.shape.is_longitudinal else ""

    def _repeat_instrument(self, row: Row) -> str:
        return row.get(REPEAT_INSTRUMENT_COLUMN, "")


def instance_number(row: Row) -> int:
    """Instance number of a row; 0 on a row that is no instance."""
    return parse_instance(row.get(REPEAT_INSTANCE_COLUMN, ""))


def parse_instance(text: str) -> int:
    """An instance number as stored; 0 for blank and for what is no number."""
    trimmed = text.strip()
    return int(trimmed) if trimmed.isascii() and trimmed.isdigit() else 0
