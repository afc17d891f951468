"""What each row of a flat export stands for, and so which table takes it.

A flat export is a block matrix: every row carries every instrument's columns, and the event and
repeat columns say which instruments the row is about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import TableError
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables.cast import cast_text
from redcap_dagster.tables.spec import Placement, TableSpec

_ORDINARY = 0
_REPEATING_EVENT = 1
_FIRST_INSTRUMENT = 2
_NO_INSTANCE = pa.scalar(None, pa.int64())
_NO_PLACE = pa.scalar(None, pa.int32())


@dataclass(frozen=True, repr=False)
class ExportRows:
    """The columns of an export that say what its rows are, one value per row.

    Attributes:
        project: The design the export was made with.
        record_ids: Record ids.
        events: Unique event names; null where blank, or everywhere in a classic project.
        repeat_instruments: Instruments of repeating rows; null where blank.
        repeat_instances: Instance numbers as exported; null where blank.
    """

    project: RedcapProject
    record_ids: pa.Array
    events: pa.Array
    repeat_instruments: pa.Array
    repeat_instances: pa.Array

    @classmethod
    def of(
        cls, project: RedcapProject, columns: Mapping[str, pa.Array], count: int
    ) -> "ExportRows":
        """Pick the columns of the rows out of an export whose blanks are null.

        Raises:
            TableError: A row without a record id, or two rows that stand for the same.
        """
        nothing = pa.nulls(count, pa.string())
        rows = cls(
            project,
            columns[project.record_id_field],
            columns.get("redcap_event_name", nothing),
            columns.get("redcap_repeat_instrument", nothing),
            columns.get("redcap_repeat_instance", nothing),
        )
        rows._refuse_unkeyed()
        return rows

    def __len__(self) -> int:
        return len(self.record_ids)

    @cached_property
    def instances(self) -> pa.Array:
        """Instance numbers, from 1; null where blank or not such a number."""
        numbers = cast_text(self.repeat_instances, "integer").values
        return pc.if_else(pc.greater(numbers, 0), numbers, _NO_INSTANCE)

    @cached_property
    def event_numbers(self) -> pa.Array:
        """Each row's event by its place in the project; 0 if classic, null if unknown."""
        if not self.project.info.is_longitudinal:
            return pa.repeat(pa.scalar(0, pa.int32()), len(self))
        return pc.index_in(self.events, pa.array(self._event_names, pa.string()), skip_nulls=True)

    @cached_property
    def _event_names(self) -> list[str]:
        return [event.unique_name for event in self.project.events]

    @cached_property
    def _instrument_names(self) -> list[str]:
        return [instrument.name for instrument in self.project.instruments]

    @cached_property
    def _kind_numbers(self) -> pa.Array:
        """Ordinary 0, occurrence of an event 1, instance of a form 2 and on; null if neither."""
        names = pa.array(self._instrument_names, pa.string())
        instruments = pc.index_in(self.repeat_instruments, names, skip_nulls=True)
        of_form = pc.if_else(
            pc.is_valid(self.instances),
            pc.cast(pc.add(instruments, _FIRST_INSTRUMENT), pa.int32()),
            _NO_PLACE,
        )
        of_event = pc.if_else(
            pc.is_valid(self.instances), pa.scalar(_REPEATING_EVENT, pa.int32()), _NO_PLACE
        )
        return pc.if_else(
            pc.is_valid(self.repeat_instruments),
            of_form,
            pc.if_else(
                pc.is_null(self.repeat_instances), pa.scalar(_ORDINARY, pa.int32()), of_event
            ),
        )

    @cached_property
    def _places(self) -> pa.Array:
        """Event and kind of each row in one number; null where either is unknown."""
        kinds = _FIRST_INSTRUMENT + len(self._instrument_names)
        events = pc.multiply(pc.cast(self.event_numbers, pa.int64()), kinds)
        return pc.add(events, pc.cast(self._kind_numbers, pa.int64()))

    @cached_property
    def _at_places(self) -> dict[tuple[int, ...], pa.Array]:
        """Whether each row is at one of some places; many tables take the same."""
        return {}

    def _place(self, placement: Placement, instrument: str) -> int:
        kinds = _FIRST_INSTRUMENT + len(self._instrument_names)
        event = 0 if placement.event is None else self._event_names.index(placement.event)
        if placement.row_kind == "repeating_form":
            return event * kinds + _FIRST_INSTRUMENT + self._instrument_names.index(instrument)
        kind = _REPEATING_EVENT if placement.row_kind == "repeating_event" else _ORDINARY
        return event * kinds + kind

    def are_of(self, spec: TableSpec) -> pa.Array:
        """Whether each row is one that the table takes."""
        places = tuple(self._place(item, spec.instrument or "") for item in spec.placements)
        if places not in self._at_places:
            is_there = pc.is_in(self._places, value_set=pa.array(places, pa.int64()))
            self._at_places[places] = is_there
        return self._at_places[places]

    def lack(self, spec: TableSpec) -> pa.Array:
        """Whether each row is of a known event that does not use the table's instrument.

        Rows of a repeating form are about that form alone, and lack none.
        """
        if not self.project.info.is_longitudinal:
            return pa.repeat(pa.scalar(False), len(self))
        used = pa.array([item.event for item in spec.placements], pa.string())
        lacking = pc.and_not(pc.is_valid(self.event_numbers), pc.is_in(self.events, value_set=used))
        return pc.and_not(lacking, pc.is_valid(self.repeat_instruments))

    def misplacement_rules(self, spec: TableSpec) -> pa.Array:
        """Why a row does not feed a table, for each row that does not.

        `unknown_event`, `unknown_repeat_instrument`, `repeat_instance` (not a number from 1),
        `event_without_instrument`, or `wrong_row_kind` (an ordinary row where the instrument
        repeats, or the other way round).
        """
        used = pa.array([item.event for item in spec.placements], pa.string())
        known = pa.array(self._instrument_names, pa.string())
        is_repeat = pc.is_valid(self.repeat_instruments)
        in_other_event = pc.and_(
            pa.scalar(self.project.info.is_longitudinal),
            pc.invert(pc.is_in(self.events, value_set=used)),
        )
        conditions = {
            "unknown_event": pc.is_null(self.event_numbers),
            "unknown_repeat_instrument": pc.and_(
                is_repeat, pc.invert(pc.is_in(self.repeat_instruments, value_set=known))
            ),
            "repeat_instance": pc.and_(
                pc.or_(is_repeat, pc.is_valid(self.repeat_instances)), pc.is_null(self.instances)
            ),
            "event_without_instrument": in_other_event,
        }
        return pc.case_when(
            pc.make_struct(*conditions.values(), field_names=list(conditions)),
            *conditions,
            "wrong_row_kind",
        )

    def _refuse_unkeyed(self) -> None:
        nameless = self.record_ids.null_count
        if nameless:
            raise TableError(f"{nameless} rows of the export have no record id.")
        keys = pa.table(
            [self.record_ids, self.events, self.repeat_instruments, self._instance_keys],
            names=["record", "event", "instrument", "instance"],
        )
        distinct = keys.group_by(keys.column_names, use_threads=False).aggregate([]).num_rows
        if distinct != len(self):
            raise TableError(
                f"{len(self) - distinct} rows of the export stand for the same record, event and "
                "instance as another row. No table can hold both; export these records again."
            )

    @property
    def _instance_keys(self) -> pa.Array:
        """Numbers as text, so that `1` and `01` are one instance; else the text as exported."""
        return pc.coalesce(pc.cast(self.instances, pa.string()), self.repeat_instances)
