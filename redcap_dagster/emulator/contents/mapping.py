"""Which instrument belongs to which event, and what repeats: import."""

import sqlite3
from dataclasses import replace

from redcap_dagster.emulator.answers import Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.change import (
    change_design,
    imported_rows,
    refuse_classic,
    refuse_production,
)
from redcap_dagster.emulator.design import Design, Repeat
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.state.repeats import move_repeats


def import_form_event_mapping(call: Call) -> Text:
    """Replace the whole list of instruments designated to events."""
    refuse_classic(call, "import form/event mappings")
    refuse_production(call, "import form/event mappings")
    rows = imported_rows(call, ("arm_num", "unique_event_name", "form"))

    def change(_: sqlite3.Connection, design: Design) -> Design:
        for row in rows:
            _known(row["unique_event_name"], design.event_order, "unique event name")
            _known(row["form"], design.form_order, "instrument name")
        asked = {(row["unique_event_name"], row["form"]) for row in rows}
        events = tuple(
            replace(
                event,
                forms=tuple(
                    form.name for form in design.forms if (event.unique_name, form.name) in asked
                ),
            )
            for event in design.events
        )
        return replace(design, events=events)

    change_design(call, "Import instrument-event mappings (API)", change)
    return Text(str(len(rows)))


def import_repeats(call: Call) -> Text:
    """Replace the list of what repeats; data stays with its instrument as instance 1."""
    longitudinal = call.design.is_longitudinal
    rows = imported_rows(call, ("event_name",) if longitudinal else ("form_name",))

    def change(connection: sqlite3.Connection, design: Design) -> Design:
        repeats = tuple(_repeat(row, design) for row in rows)
        places = {(repeat.event, repeat.form) for repeat in repeats}
        for repeat in repeats:
            if repeat.form and (repeat.event, "") in places:
                raise RequestRefusedError(
                    f"The event '{repeat.event}' cannot repeat as a whole and by instrument"
                )
        changed = replace(design, repeats=repeats)
        move_repeats(connection, call.user.project_id, design, changed)
        return changed

    change_design(call, "Import repeating instruments and events (API)", change)
    return Text(str(len(rows)))


def _repeat(row: dict[str, str], design: Design) -> Repeat:
    event = row.get("event_name", "") if design.is_longitudinal else ""
    form = row.get("form_name", "")
    if design.is_longitudinal:
        _known(event, design.event_order, "unique event name")
    if form or not design.is_longitudinal:
        _known(form, design.form_order, "instrument name")
        if form not in design.forms_of_event(event):
            raise RequestRefusedError(
                f"The instrument '{form}' is not designated for the event '{event}'"
            )
    return Repeat(event, form, row.get("custom_form_label", ""))


def _known(name: str, known: dict[str, int], kind: str) -> None:
    if name not in known:
        raise RequestRefusedError(f"The {kind} '{name}' does not exist in this project")
