"""Which row a reference looks at, seen from each row of a table.

`row_references.py` finds the same row by looking through the rows of one record.
"""

import numpy as np

from redcap_dagster.logic.row_places import NOWHERE, Integers, RowPlaces
from redcap_dagster.logic.shape import StudyShape

_MODES = ("ordinary", "instrument", "event")


class ReferenceJoins:
    """Joins of a table with itself, one for each distinct way of referring."""

    def __init__(self, places: RowPlaces, shape: StudyShape) -> None:
        self.places = places
        self._shape = shape
        self._joins: dict[tuple[str | None, str, str | None], Integers | None] = {}

    def rows(self, event: str | None, instrument: str, instance: str | None) -> Integers | None:
        """Row that a reference looks at, seen from each row.

        Args:
            event: Event part, or None.
            instrument: Instrument of the field asked for.
            instance: Instance part, or None.

        Returns:
            Places of rows, `NOWHERE` where there is none; None where every row looks at itself.
        """
        key = event, instrument, instance
        if key not in self._joins:
            found = self._find_rows(event, instrument, instance)
            is_self = np.array_equal(found, np.arange(len(self.places)))
            self._joins[key] = None if is_self else found
        return self._joins[key]

    def own_instance(self, position: str) -> Integers:
        """Number that an instance variable means when it stands alone; 0 where there is none."""
        places = self.places
        event, instrument = places.event.codes, places.instrument.codes
        number = self._instance_at(position, event, instrument)
        if position != "new":
            number = np.where(places.find(event, instrument, number) == NOWHERE, 0, number)
        return np.where(places.instance > 0, number, 0)

    def _find_rows(self, event: str | None, instrument: str, instance: str | None) -> Integers:
        places, shape = self.places, self._shape
        target = places.event.tabulate(
            lambda current: places.event.code(shape.target_event(event, current, instrument))
        )
        modes = np.array(
            [_MODES.index(shape.repeat_mode(instrument, name)) for name in places.event.names]
        )
        mode = np.where(target == NOWHERE, 0, modes[target])
        blank = np.full(len(self.places), places.instrument.code(""))
        ordinary = np.full(len(self.places), NOWHERE)
        if instance is None and (mode == 0).any():
            ordinary = places.find(target, blank, np.zeros_like(target))
        if not mode.any():
            return ordinary
        repeated = np.where(mode == 1, places.instrument.code(instrument), blank)
        found = self._find_instances(target, repeated, instance)
        return np.where(mode == 0, ordinary, found)

    def _find_instances(
        self, target: Integers, repeated: Integers, instance: str | None
    ) -> Integers:
        places = self.places
        if instance is None:
            is_own = (places.event.codes == target) & (places.instrument.codes == repeated)
            return np.where(is_own & (places.instance > 0), np.arange(len(self.places)), NOWHERE)
        if instance.isdigit():
            number = np.full(len(self.places), int(instance))
        else:
            number = self._instance_at(instance.removesuffix("-instance"), target, repeated)
        return np.where(number > 0, places.find(target, repeated, number), NOWHERE)

    def _instance_at(self, position: str, event: Integers, instrument: Integers) -> Integers:
        """Number of the instance at a position, seen from each row; 0 where there is none."""
        own = self.places.instance
        if position in {"current", "previous", "next"}:
            step = {"current": 0, "previous": -1, "next": 1}[position]
            return np.where(own > 0, np.maximum(own + step, 0), 0)
        if position == "first":
            return self.places.first_instance(event, instrument)
        last = self.places.last_instance(event, instrument)
        return last + 1 if position == "new" else last
