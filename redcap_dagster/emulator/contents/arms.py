"""Arms and events: import, delete."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from redcap_dagster.emulator.answers import Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.change import (
    change_design,
    imported_rows,
    refuse_classic,
    refuse_production,
    whole_number,
)
from redcap_dagster.emulator.design import Arm, Design, Event
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.names import unique_event_name
from redcap_dagster.emulator.state.designs import forget_events
from redcap_dagster.emulator.state.numbers import next_event_id


def import_arms(call: Call) -> Text:
    """Add and rename arms; `override` deletes all arms, events and their data before."""
    _gate(call, "import arms")
    rows = imported_rows(call, ("arm_num", "name"))
    arms = {whole_number(row, "arm_num"): row["name"] for row in rows}
    if any(number < 1 for number in arms):
        raise RequestRefusedError("The value of 'arm_num' must be a number from 1 on")

    def change(connection: sqlite3.Connection, design: Design) -> Design:
        kept = {arm.number: arm.name for arm in design.arms}
        if call.parameters.flag("override"):
            design = _without_all_events(connection, call, design)
            kept = {}
        kept |= arms
        return replace(design, arms=tuple(Arm(number, kept[number]) for number in sorted(kept)))

    change_design(call, "Import arms (API)", change)
    return Text(str(len(rows)))


def delete_arms(call: Call) -> Text:
    """Delete arms with their events and data."""
    _gate(call, "delete arms")
    wanted = _needed_names(call, "arms", {str(arm.number) for arm in call.design.arms})

    def change(connection: sqlite3.Connection, design: Design) -> Design:
        gone = frozenset(
            event.unique_name for event in design.events if str(event.arm_number) in wanted
        )
        kept = tuple(arm for arm in design.arms if str(arm.number) not in wanted)
        return replace(forget_events(connection, call.user.project_id, design, gone), arms=kept)

    change_design(call, "Delete arms (API)", change)
    return Text(str(len(wanted)))


def import_events(call: Call) -> Text:
    """Add events, and change those whose unique name is given; renaming changes that name."""
    _gate(call, "import events")
    rows = imported_rows(call, ("event_name", "arm_num"))

    def change(connection: sqlite3.Connection, design: Design) -> Design:
        first_id = next_event_id(call.user.project_id, design)
        if call.parameters.flag("override"):
            design = _without_all_events(connection, call, design)
        for position, row in enumerate(rows):
            design = _with_event(connection, call, design, row, first_id + position)
        return design

    change_design(call, "Import events (API)", change)
    return Text(str(len(rows)))


def delete_events(call: Call) -> Text:
    """Delete events with their data."""
    _gate(call, "delete events")
    wanted = _needed_names(call, "events", set(call.design.event_order))

    def change(connection: sqlite3.Connection, design: Design) -> Design:
        return forget_events(connection, call.user.project_id, design, frozenset(wanted))

    change_design(call, "Delete events (API)", change)
    return Text(str(len(wanted)))


def _gate(call: Call, what: str) -> None:
    refuse_classic(call, what)
    refuse_production(call, what)


def _needed_names(call: Call, parameter: str, known: set[str]) -> tuple[str, ...]:
    wanted = call.known_names(parameter, known)
    if not wanted:
        raise RequestRefusedError(f'The required parameter "{parameter}" is missing')
    return tuple(dict.fromkeys(wanted))


def _without_all_events(connection: sqlite3.Connection, call: Call, design: Design) -> Design:
    return forget_events(connection, call.user.project_id, design, frozenset(design.event_order))


def _with_event(
    connection: sqlite3.Connection, call: Call, design: Design, row: dict[str, str], event_id: int
) -> Design:
    arm_number = whole_number(row, "arm_num")
    if arm_number not in {arm.number for arm in design.arms}:
        raise RequestRefusedError(f"The arm number {arm_number} does not exist in this project")
    old = _named_event(design, row)
    label = row["event_name"]
    taken = {event.unique_name for event in design.events if event is not old}
    same_name = old is not None and (old.name, old.arm_number) == (label, arm_number)
    event = Event(
        unique_name=old.unique_name
        if old and same_name
        else unique_event_name(label, arm_number, taken),
        name=label,
        arm_number=arm_number,
        event_id=old.event_id if old else event_id,
        forms=old.forms if old else (),
        custom_label=row.get("custom_event_label", old.custom_label if old else ""),
        day_offset=_offset(row, "day_offset", old.day_offset if old else 0),
        offset_min=_offset(row, "offset_min", old.offset_min if old else 0),
        offset_max=_offset(row, "offset_max", old.offset_max if old else 0),
    )
    if old is None:
        return replace(design, events=_in_arm_order((*design.events, event)))
    _rename_event(connection, call, old.unique_name, event.unique_name)
    return replace(
        design,
        events=_in_arm_order([event if entry is old else entry for entry in design.events]),
        repeats=tuple(
            replace(repeat, event=event.unique_name) if repeat.event == old.unique_name else repeat
            for repeat in design.repeats
        ),
    )


def _named_event(design: Design, row: dict[str, str]) -> Event | None:
    """Return the event a row means by its unique name; without one, a row is a new event.

    PyCap's documentation shows it: a second `Event 2` stays when the first is deleted.
    """
    unique_name = row.get("unique_event_name", "")
    return next((event for event in design.events if event.unique_name == unique_name), None)


def _offset(row: dict[str, str], name: str, default: int) -> int:
    return whole_number(row, name) if row.get(name) else default


def _in_arm_order(events: Sequence[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: event.arm_number))


def _rename_event(connection: sqlite3.Connection, call: Call, old: str, new: str) -> None:
    connection.execute(
        "UPDATE row SET event = ? WHERE project_id = ? AND event = ?",
        (new, call.user.project_id, old),
    )
