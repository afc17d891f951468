"""Where a row stands, as addresses and forms carry it."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.records.cells import event_label
from redcap_dagster.emulator.records.row import StoredRow

NEW = "new"
# With a hyphen, which no field of a study can have in its name.
RECORD, EVENT, INSTRUMENT, INSTANCE = "record-id", "event-name", "repeats-as", "instance-number"
FORM = "form-name"


@dataclass(frozen=True)
class Place:
    """A row of a record: one that is there, or one to be made.

    Attributes:
        record_id: The record.
        event: Unique event name, "" in a classic project.
        instrument: The repeating instrument, or "".
        instance: The instance as text: "" on a base row, `new` for the next one.
    """

    record_id: str
    event: str = ""
    instrument: str = ""
    instance: str = ""

    def query(self, form: str = "") -> str:
        """Return the query of an address that leads here, to one instrument of it."""
        parts = {
            **self.parts(),
            FORM: form,
        }
        return urlencode({key: value for key, value in parts.items() if value})

    def parts(self) -> dict[str, str]:
        """Return what `place_in` reads it from again."""
        return {
            RECORD: self.record_id,
            EVENT: self.event,
            INSTRUMENT: self.instrument,
            INSTANCE: self.instance,
        }

    def line(self, design: Design) -> dict[str, str]:
        """Return the columns of a flat import that say where a row belongs."""
        line = {design.record_id_field: self.record_id}
        if design.is_longitudinal:
            line["redcap_event_name"] = self.event
        if self.instance:
            line["redcap_repeat_instrument"] = self.instrument
            line["redcap_repeat_instance"] = self.instance
        return line

    def label(self, design: Design) -> str:
        """Return what a person calls it."""
        forms = {form.name: form.label for form in design.forms}
        events = {event.unique_name: event for event in design.events}
        parts = [event_label(design, events[self.event])] if self.event in events else []
        if self.instrument:
            parts.append(forms[self.instrument])
        if self.instance:
            parts.append("new instance" if self.instance == NEW else f"instance {self.instance}")
        return ", ".join(parts) or "Data"


def place_of(row: StoredRow) -> Place:
    """Return the place of a stored row."""
    instance = str(row.instance) if row.instance else ""
    return Place(row.record_id, row.event, row.instrument, instance)


def place_in(sent: Mapping[str, str]) -> Place:
    """Return the place that an address or a form names."""
    return Place(
        sent.get(RECORD, ""),
        sent.get(EVENT, ""),
        sent.get(INSTRUMENT, ""),
        sent.get(INSTANCE, ""),
    )


def forms_at(design: Design, place: Place) -> tuple[str, ...]:
    """Return the instruments that have values at a place; none when the place cannot be."""
    instance = 0 if not place.instance else 1
    if not design.has_place(place.event, place.instrument, instance):
        return ()
    if place.instrument:
        return (place.instrument,)
    forms = design.forms_of_event(place.event)
    if instance:
        return forms
    return tuple(form for form in forms if not design.repeats_as_form(place.event, form))


def places_to_add(design: Design, record_id: str, taken: set[Place]) -> list[Place]:
    """Return the rows a record could get: base rows it lacks, and one more of what repeats."""
    found = []
    for event in design.event_order:
        base = Place(record_id, event)
        if design.repeats_as_event(event):
            found.append(Place(record_id, event, "", NEW))
        elif base not in taken and forms_at(design, base):
            found.append(base)
        found += [
            Place(record_id, event, form, NEW)
            for form in design.forms_of_event(event)
            if design.repeats_as_form(event, form)
        ]
    return found
