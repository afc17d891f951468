"""Which instruments are asked for together, and in which events. Pure.

An event is asked only for the instruments that are used in it, as long as that costs the server
less than one request for more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from redcap_dagster.errors import ConfigError
from redcap_dagster.export.row_keys import RowKeySpace, RowList
from redcap_dagster.project import RedcapProject, plan_export_columns

DEFAULT_CELLS_PER_REQUEST = 400_000
"""Cells (rows times columns) one answer holds at most: far below the million that servers die on.

`benchmarks/README.md` says what other sizes cost.
"""

_CELLS_OF_A_REQUEST = 25_000
"""Cells that take a server as long as one request more: 50 ms at 2 µs a cell."""


@dataclass(frozen=True, slots=True)
class Share:
    """Instruments that are asked for together, and the events they are asked for in."""

    instruments: tuple[str, ...]
    events: tuple[str, ...] | None


class ShareCosts:
    """Rows and cells of answers, from how many rows each event has of each repeating instrument."""

    def __init__(self, project: RedcapProject, rows: RowList) -> None:
        self._project = project
        self._space = rows.space
        self._counts = rows.space.count_rows(rows.keys)
        self.row_columns = len(plan_export_columns(project, ()))
        self.widths = {
            item.name: len(plan_export_columns(project, (item.name,))) - self.row_columns
            for item in project.instruments
        }

    def rows(self, share: Share) -> int:
        """Rows of an answer for all records."""
        space = self._space
        instruments = [
            place
            for place, name in enumerate(space.instruments)
            if place == 0 or name in share.instruments
        ]
        events = [space.events.index(name) for name in share.events or space.events]
        return int(self._counts[np.ix_(events, instruments)].sum())

    def cells(self, share: Share) -> int:
        """Cells of an answer for all records."""
        columns = self.row_columns + sum(self.widths[name] for name in share.instruments)
        return self.rows(share) * columns

    def joined(self, first: Share, second: Share) -> Share:
        """One share of both: all events are asked for the instruments of either."""
        names = {*first.instruments, *second.instruments}
        events = {*(first.events or ()), *(second.events or ())}
        return Share(
            tuple(item.name for item in self._project.instruments if item.name in names),
            tuple(e.unique_name for e in self._project.events if e.unique_name in events),
        )

    def added_by_joining(self, first: Share, second: Share) -> int:
        """Cells that one answer for both has more than two answers; below 0 when it has fewer."""
        return self.cells(self.joined(first, second)) - self.cells(first) - self.cells(second)

    def repeating(self, share: Share) -> tuple[str, ...]:
        """Its instruments that repeat by themselves in one of its events."""
        events = {None} if share.events is None else set(share.events)
        repeating = {rule.instrument for rule in self._project.repeats if rule.event in events}
        return tuple(name for name in share.instruments if name in repeating)


def group_instruments(
    project: RedcapProject, instruments: tuple[str, ...], events: tuple[str, ...] | None
) -> list[Share]:
    """The asked instruments, those together that are used in the same of the asked events.

    So each column comes in one answer, and only for the events that have it. An event that uses
    none is asked for its rows alone where everything is exported, since a row may be stored in it
    all the same.
    """
    if not project.events:
        return [Share(instruments, None)]
    mapping = {(item.event, item.instrument) for item in project.form_events}
    asked = events if events is not None else RowKeySpace.of(project).events
    used: dict[tuple[str, ...], list[str]] = {}
    for name in instruments:
        in_events = tuple(event for event in asked if (event, name) in mapping)
        if in_events:
            used.setdefault(in_events, []).append(name)
    shares = [Share(tuple(names), in_events) for in_events, names in used.items()]
    with_none = tuple(event for event in asked if not any(event in item for item in used))
    if with_none and len(instruments) == len(project.instruments):
        shares.append(Share((), with_none))
    return shares


def join_small_shares(shares: Sequence[Share], costs: ShareCosts) -> list[Share]:
    """Ask together where asking apart costs the server more than blank cells do."""
    left = list(shares)
    added = {pair: costs.added_by_joining(*pair) for pair in combinations(left, 2)}
    while added:
        first, second = min(added, key=added.__getitem__)
        blocks = 1 + max(costs.cells(first), costs.cells(second)) // DEFAULT_CELLS_PER_REQUEST
        if added[first, second] > blocks * _CELLS_OF_A_REQUEST:
            break
        both = costs.joined(first, second)
        left[left.index(first)] = both
        left.remove(second)
        added = {pair: cells for pair, cells in added.items() if not {first, second} & {*pair}}
        added |= {
            (both, other): costs.added_by_joining(both, other)
            for other in left
            if other is not both
        }
    return left


def part_repeating(share: Share, costs: ShareCosts) -> list[Share]:
    """Ask apart for instruments of which there are many instances.

    Else each of their rows has the columns of all other instruments too. What does not repeat has
    its nearly blank row in each answer.
    """
    parts: list[Share] = []
    for name in costs.repeating(share):
        if len(share.instruments) == 1:
            break
        own = Share((name,), share.events)
        rest = Share(tuple(item for item in share.instruments if item != name), share.events)
        blocks = 1 + costs.cells(share) // DEFAULT_CELLS_PER_REQUEST
        saved = costs.cells(share) - costs.cells(rest) - costs.cells(own)
        if saved > blocks * _CELLS_OF_A_REQUEST:
            parts.append(own)
            share = rest
    return [share, *parts]


def select_instruments(
    project: RedcapProject, instruments: Iterable[str] | None
) -> tuple[str, ...]:
    """The named instruments in dictionary order; all of them for None.

    Raises:
        ConfigError: A name is not an instrument of the project.
    """
    known = tuple(instrument.name for instrument in project.instruments)
    if instruments is None:
        return known
    wanted = set(instruments)
    unknown = sorted(wanted.difference(known))
    if unknown:
        raise ConfigError(
            f"Not instruments of this project: {', '.join(unknown)}. It has: {', '.join(known)}."
        )
    return tuple(name for name in known if name in wanted)


def select_events(project: RedcapProject, events: Sequence[str] | None) -> tuple[str, ...] | None:
    """The named events in the project's order; None for None.

    Raises:
        ConfigError: A name is not an event of the project.
    """
    if events is None:
        return None
    known = [event.unique_name for event in project.events]
    unknown = sorted(set(events).difference(known))
    if unknown:
        raise ConfigError(
            f"Not events of this project: {', '.join(unknown)}. It "
            + (f"has: {', '.join(known)}." if known else "is classic and has none.")
        )
    return tuple(name for name in known if name in set(events))
