"""REDCap's smart variables: which are known offline, and why the others are not."""

from dataclasses import dataclass
from typing import Literal

from redcap_dagster.logic.shape import StudyShape

Source = Literal["project", "event", "record", "instance", "group", "instrument", "timestamp"]


@dataclass(frozen=True, slots=True)
class SmartVariable:
    """One smart variable that is supported when it stands alone.

    Attributes:
        source: What it is read from.
        meaning: What it gives.
    """

    source: Source
    meaning: str


_EVENT_ENDS = {
    f"{position}-event-{what}": SmartVariable(
        "event", f"{what} of the {position} event of the arm, blank beyond the ends"
    )
    for position in ("previous", "next", "first", "last")
    for what in ("name", "label")
}
_INSTANCES = {
    f"{position}-instance": SmartVariable("instance", meaning)
    for position, meaning in {
        "current": "number of the row's own instance",
        "previous": "the instance number one less, blank if there is none",
        "next": "the instance number one more, blank if there is none",
        "first": "smallest instance number of the row's instrument or event",
        "last": "largest instance number of the row's instrument or event",
        "new": "one more than the largest instance number",
    }.items()
}

SMART_VARIABLES: dict[str, SmartVariable] = {
    "record-name": SmartVariable("record", "the record id"),
    "event-name": SmartVariable("event", "unique name of the row's event"),
    "event-label": SmartVariable("event", "name of the row's event"),
    "event-number": SmartVariable("event", "place of the row's event in its arm, from 1"),
    "arm-number": SmartVariable("event", "number of the row's arm"),
    "arm-label": SmartVariable("event", "name of the row's arm"),
    **_EVENT_ENDS,
    **_INSTANCES,
    "record-dag-name": SmartVariable("group", "unique name of the record's data access group"),
    "instrument-name": SmartVariable("instrument", "instrument that the logic belongs to"),
    "instrument-label": SmartVariable("instrument", "label of that instrument"),
    "project-id": SmartVariable("project", "REDCap's number of the project"),
    "project-status": SmartVariable("project", "0 in development, 1 in production"),
    "redcap-version": SmartVariable("project", "version of the server"),
    "survey-time-completed": SmartVariable(
        "timestamp", "date and time at which a survey was completed, with :instrument:value"
    ),
    "survey-date-completed": SmartVariable(
        "timestamp", "date on which a survey was completed, with :instrument:value"
    ),
}
"""The supported smart variables by name; in calculations and conditions they give raw values."""

EVENT_PARTS = frozenset(
    {"event-name", "previous-event-name", "next-event-name", "first-event-name", "last-event-name"}
)
"""Smart variables that can stand before a field."""

INSTANCE_PARTS = frozenset(_INSTANCES) - {"new-instance"}
"""Smart variables that can stand after a field."""

_REASONS = (
    ("event-id", "event ids are not in the study's design"),
    ("record-dag-", "only the unique name of a data access group is in an export"),
    ("user-", "outside a form there is no user"),
    ("is-form", "outside a form it is not known whether a page is a form or a survey"),
    ("is-survey", "outside a form it is not known whether a page is a form or a survey"),
    ("survey-time-started", "an export holds when a survey was completed, not when it was started"),
    ("survey-date-started", "an export holds when a survey was completed, not when it was started"),
    ("survey-", "an export does not hold it"),
    ("aggregate-", "it looks at the whole project"),
    ("rand-", "an export does not hold it"),
    ("new-instance", "an instance that is not there yet has no values"),
)


def why_unsupported(name: str) -> str:
    """Why a smart variable that is not in `SMART_VARIABLES` is refused."""
    for start, reason in _REASONS:
        if name.startswith(start):
            return reason
    return "it is none of those that can be known from an export"


def project_text(name: str, shape: StudyShape) -> str:
    """Value of a smart variable that is the same for the whole project."""
    if shape.project is None:
        return ""
    if name == "project-id":
        return str(shape.project.info.project_id)
    if name == "project-status":
        return "1" if shape.project.info.in_production else "0"
    return shape.project.redcap_version


def event_text(name: str, event: str, shape: StudyShape) -> str:
    """Value of a smart variable that depends on the row's event; "" where there is none."""
    position, _, rest = name.partition("-event-")
    if rest:
        found = shape.event(shape.neighbour(position, event) or "")
        return "" if found is None else _event_property(f"event-{rest}", found.unique_name, shape)
    return _event_property(name, event, shape)


def _event_property(name: str, event: str, shape: StudyShape) -> str:
    found = shape.event(event)
    if found is None or shape.project is None:
        return ""
    if name == "event-name":
        return event
    if name == "event-label":
        return found.name
    if name == "event-number":
        return str(shape.arm_events(event).index(event) + 1)
    if name == "arm-number":
        return str(found.arm_number)
    return next((arm.name for arm in shape.project.arms if arm.number == found.arm_number), "")


def timestamp_text(name: str, stored: str) -> str:
    """Value of `survey-…-completed` from a survey's timestamp column."""
    if stored == "[not completed]":
        return ""
    return stored[:10] if name == "survey-date-completed" else stored
