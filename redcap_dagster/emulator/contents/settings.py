"""Project settings: import, and what a new project takes of them."""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace

from redcap_dagster.emulator.answers import Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.change import change_design, imported_rows, refuse_production
from redcap_dagster.emulator.design import Arm, Design, Event, Settings
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.names import unique_event_name
from redcap_dagster.emulator.state.numbers import first_event_id

_TITLE = "project_title"
_LONGITUDINAL = "is_longitudinal"
_PURPOSES = range(5)
_OTHER_PURPOSE = 1
_TEXTS = (
    "project_language",
    "purpose_other",
    "project_notes",
    "custom_record_label",
    "secondary_unique_field",
    "project_irb_number",
    "project_grant_number",
    "project_pi_firstname",
    "project_pi_lastname",
    "project_pi_email",
)
_FLAGS = (
    "surveys_enabled",
    "scheduling_enabled",
    "record_autonumbering_enabled",
    "randomization_enabled",
    "display_today_now_button",
    "bypass_branching_erase_field_prompt",
)


def import_project_settings(call: Call) -> Text:
    """Change settings and return how many values were taken; others are passed over."""
    rows = imported_rows(call, ())
    row = rows[0] if rows else {}

    def change(connection: sqlite3.Connection, design: Design) -> Design:
        design = replace(design, settings=changed_settings(design.settings, row))
        if _LONGITUDINAL in row:
            wanted = _flag(row, _LONGITUDINAL)
            if wanted != design.is_longitudinal:
                refuse_production(call, "change is_longitudinal")
                design = _with_events(connection, call, design, wanted=wanted)
        return design

    change_design(call, "Import project information (API)", change)
    editable = {_TITLE, "purpose", _LONGITUDINAL, *_TEXTS, *_FLAGS}
    return Text(str(len(editable & {*row})))


def changed_settings(settings: Settings, row: Mapping[str, str]) -> Settings:
    """Return settings with what a row says about them.

    Raises:
        RequestRefusedError: A value cannot be taken.
    """
    changed: dict[str, str | int] = {name: row[name] for name in _TEXTS if name in row}
    changed |= {name: int(_flag(row, name)) for name in _FLAGS if name in row}
    if _TITLE in row:
        if not row[_TITLE]:
            raise RequestRefusedError("You must provide some text for 'project_title'.")
        changed["title"] = row[_TITLE]
    if "purpose" in row:
        changed["purpose"] = _purpose(row["purpose"])
    settings = replace(settings, **changed)  # type: ignore[arg-type]  # names are of either type
    if settings.purpose == _OTHER_PURPOSE and not settings.purpose_other:
        raise RequestRefusedError(
            "You must provide some text for 'purpose_other' since you specified 'purpose' as '1' "
            "(Other)."
        )
    return settings


def first_event(event_id: int, forms: tuple[str, ...]) -> tuple[tuple[Arm, ...], tuple[Event, ...]]:
    """Return the arm and event that a project has when it becomes longitudinal."""
    label = "Event 1"
    event = Event(unique_event_name(label, 1), label, 1, event_id, forms)
    return (Arm(1, "Arm 1"),), (event,)


def _purpose(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) not in _PURPOSES:
        raise RequestRefusedError("The value of 'purpose' must be a number from 0 to 4")
    return int(text)


def _flag(row: Mapping[str, str], name: str) -> bool:
    if row[name] not in {"0", "1"}:
        raise RequestRefusedError(f"The value of '{name}' must be 0 or 1")
    return row[name] == "1"


def _with_events(
    connection: sqlite3.Connection, call: Call, design: Design, *, wanted: bool
) -> Design:
    """Return the design with or without events; data moves into the first event and out of it."""
    if wanted:
        forms = tuple(form.name for form in design.forms)
        arms, events = first_event(first_event_id(call.user.project_id), forms)
        old, new = "", events[0].unique_name
    elif len(design.events) > 1:
        raise RequestRefusedError(
            "The REDCap emulator does not make a project with several events classic: delete "
            "events first."
        )
    else:
        old, new = "".join(event.unique_name for event in design.events), ""
        arms, events = (), ()
    connection.execute(
        "UPDATE row SET event = ? WHERE project_id = ? AND event = ?",
        (new, call.user.project_id, old),
    )
    return replace(
        design,
        arms=arms,
        events=events,
        repeats=tuple(
            replace(repeat, event=new) for repeat in design.repeats if repeat.form or wanted
        ),
        longitudinal=wanted,
    )
