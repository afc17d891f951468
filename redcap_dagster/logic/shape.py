"""What logic asks of a study's design: where a field lives, which event is next, what repeats."""

from functools import cached_property
from typing import Literal

from redcap_dagster.logic.tree import Reference
from redcap_dagster.project import (
    Event,
    RedcapProject,
    checkbox_column_name,
    form_status_column_name,
    value_kind,
)

RepeatMode = Literal["ordinary", "instrument", "event"]

EVENT_COLUMN = "redcap_event_name"
REPEAT_INSTRUMENT_COLUMN = "redcap_repeat_instrument"
REPEAT_INSTANCE_COLUMN = "redcap_repeat_instance"
DATA_ACCESS_GROUP_COLUMN = "redcap_data_access_group"


class StudyShape:
    """A study's design, as a reference of the logic looks at it.

    Without a project every name is a field of the one row there is.
    """

    def __init__(self, project: RedcapProject | None) -> None:
        self.project = project

    @cached_property
    def events(self) -> tuple[str, ...]:
        """Unique names of the events, in order; one blank name in a classic project."""
        events = () if self.project is None else self.project.events
        return tuple(event.unique_name for event in events) or ("",)

    @property
    def is_longitudinal(self) -> bool:
        """Whether rows have an event."""
        return self.events != ("",)

    @cached_property
    def instruments(self) -> tuple[str, ...]:
        """Names of the instruments, in order; none without a project."""
        return () if self.project is None else tuple(self.project.instruments_by_name)

    @cached_property
    def _events_by_name(self) -> dict[str, Event]:
        events = () if self.project is None else self.project.events
        return {event.unique_name: event for event in events}

    @cached_property
    def _designated(self) -> frozenset[tuple[str, str]]:
        form_events = () if self.project is None else self.project.form_events
        return frozenset((item.instrument, item.event) for item in form_events)

    @cached_property
    def _instrument_by_name(self) -> dict[str, str]:
        if self.project is None:
            return {}
        fields = {item.name: item.instrument for item in self.project.iter_fields()}
        return {form_status_column_name(name): name for name in self.instruments} | fields

    def instrument_of(self, name: str) -> str | None:
        """Instrument of a field or form status; None if there is no such name."""
        return self._instrument_by_name.get(name)

    def is_record_id(self, name: str) -> bool:
        """Whether a name is that of the record id field, which every row holds."""
        return self.project is not None and name == self.project.record_id_field

    def has_comma(self, name: str) -> bool:
        """Whether a field's decimal sign is a comma."""
        field = None if self.project is None else self.project.fields_by_name.get(name)
        return field is not None and value_kind(field) == "decimal_comma"

    def event(self, unique_name: str) -> Event | None:
        """An event by its unique name, or None."""
        return self._events_by_name.get(unique_name)

    def arm_events(self, event: str) -> tuple[str, ...]:
        """Events of the arm that an event belongs to, in order."""
        found = self.event(event)
        if found is None:
            return ()
        arm = found.arm_number
        return tuple(item for item in self.events if self._events_by_name[item].arm_number == arm)

    def is_designated(self, instrument: str, event: str) -> bool:
        """Whether an instrument is used in an event; always in a classic project."""
        return not self.is_longitudinal or (instrument, event) in self._designated

    def repeat_mode(self, instrument: str, event: str) -> RepeatMode:
        """How an instrument repeats in an event."""
        if self.project is None:
            return "ordinary"
        key = event if self.is_longitudinal else None
        if self.project.repeats_as_form(instrument, key):
            return "instrument"
        return "event" if key is not None and self.project.event_repeats(key) else "ordinary"

    def target_event(self, rule: str | None, current: str, instrument: str) -> str | None:
        """The event that an event part means, seen from a row's own event.

        Args:
            rule: The event part: a unique event name, a smart variable, or None.
            current: Unique name of the row's event, "" in a classic project.
            instrument: Instrument of the field that is asked for.

        Returns:
            A unique event name; None where there is none: it is in another arm, or does not hold
            the instrument.
        """
        if rule is None or rule == "event-name":
            return current
        candidates = [
            event for event in self.arm_events(current) if self.is_designated(instrument, event)
        ]
        if not rule.endswith("-event-name"):
            return rule if rule in candidates else None
        return self._positional_event(rule.removesuffix("-event-name"), current, candidates)

    def neighbour(self, position: str, current: str) -> str | None:
        """Event of the arm at a position: first, last, previous or next; None beyond the ends."""
        return self._positional_event(position, current, list(self.arm_events(current)))

    def _positional_event(self, position: str, current: str, events: list[str]) -> str | None:
        if current not in self._events_by_name:
            return None
        here = self.events.index(current)
        if position == "previous":
            events = [event for event in events if self.events.index(event) < here]
        elif position == "next":
            events = [event for event in events if self.events.index(event) > here]
        if not events:
            return None
        return events[0] if position in {"first", "next"} else events[-1]


def column_name(reference: Reference) -> str:
    """Export column that holds what a reference to a field asks for."""
    if reference.code is None:
        return reference.name
    return checkbox_column_name(reference.name, reference.code)
