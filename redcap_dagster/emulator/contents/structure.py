"""Arms, events, instruments, their mapping, and what repeats."""

from redcap_dagster.emulator.answers import Table
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.errors import RequestRefusedError


def export_instruments(call: Call) -> Table:
    """Return the instruments in dictionary order."""
    rows = [(form.name, form.label) for form in call.design.forms]
    return Table(("instrument_name", "instrument_label"), rows)


def export_arms(call: Call) -> Table:
    """Return the arms that have events."""
    _refuse_classic(call, "arms")
    wanted = _wanted_arms(call)
    in_use = {event.arm_number for event in call.design.events}
    rows = [(arm.number, arm.name) for arm in call.design.arms if arm.number in wanted & in_use]
    return Table(("arm_num", "name"), rows)


def export_events(call: Call) -> Table:
    """Return the events; day offsets only where scheduling is on."""
    _refuse_classic(call, "events")
    wanted = _wanted_arms(call)
    scheduling = call.design.settings.scheduling_enabled
    offsets = ("day_offset", "offset_min", "offset_max") if scheduling else ()
    rows = [
        (
            event.name,
            event.arm_number,
            *((event.day_offset, event.offset_min, event.offset_max) if scheduling else ()),
            event.unique_name,
            event.custom_label,
            event.event_id,
        )
        for event in call.design.events
        if event.arm_number in wanted
    ]
    columns = (
        "event_name",
        "arm_num",
        *offsets,
        "unique_event_name",
        "custom_event_label",
        "event_id",
    )
    return Table(columns, rows, csv_always_quoted=frozenset({"event_name"}))


def export_form_event_mapping(call: Call) -> Table:
    """Return which instrument is designated to which event; the header alone for no match."""
    _refuse_classic(call, "form/event mappings")
    wanted = _wanted_arms(call)
    rows = [
        (event.arm_number, event.unique_name, form)
        for event in call.design.events
        if event.arm_number in wanted
        for form in event.forms
    ]
    return Table(("arm_num", "unique_event_name", "form"), rows)


def export_repeats(call: Call) -> Table:
    """Return what repeats; a blank `form_name` is a whole event."""
    design = call.design
    if not design.repeats:
        raise RequestRefusedError(
            "You cannot export repeating instruments and events because the project does not "
            "contain any repeating instruments and events"
        )
    ordered = sorted(
        design.repeats,
        key=lambda repeat: (
            design.event_order[repeat.event],
            design.form_order.get(repeat.form, -1),
        ),
    )
    if design.is_longitudinal:
        rows = [(repeat.event, repeat.form, repeat.label) for repeat in ordered]
        columns = ("event_name", "form_name", "custom_form_label")
        return Table(columns, rows, csv_quotes_blanks=False)
    labels = [(repeat.form, repeat.label) for repeat in ordered]
    return Table(("form_name", "custom_form_label"), labels, csv_quotes_blanks=False)


def _refuse_classic(call: Call, what: str) -> None:
    if not call.design.is_longitudinal:
        raise RequestRefusedError(f"You cannot export {what} for classic projects")


def _wanted_arms(call: Call) -> set[int]:
    asked = call.parameters.names("arms")
    return {arm.number for arm in call.design.arms if not asked or str(arm.number) in asked}
