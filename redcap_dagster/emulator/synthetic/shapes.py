"""The shapes of made-up projects: what is in each and what repeats."""

from dataclasses import dataclass
from typing import Literal, get_args

from redcap_dagster.emulator.design import Arm, Choice, Event, Group, Repeat
from redcap_dagster.emulator.names import unique_event_name, unique_group_name

Shape = Literal[
    "classic",
    "longitudinal",
    "repeating",
    "wide",
    "survey",
    "data_access_groups",
    "everything",
]
SHAPES: tuple[Shape, ...] = get_args(Shape)


@dataclass(frozen=True)
class Plan:
    """What a shape says about a project.

    Attributes:
        forms: Names of its instruments.
        columns: Columns of its export, system columns not among them, when none are asked for.
        arms: Its arms, or none.
        events: Its events, or none.
        repeats: What repeats.
        groups: Its data access groups.
        surveys: Which instruments are surveys.
        missing_codes: Its missing data codes.
        id_format: How the number of a record becomes its id.
    """

    forms: tuple[str, ...] = ("enrolment", "visit", "outcome")
    columns: int = 40
    arms: tuple[Arm, ...] = ()
    events: tuple[Event, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    groups: tuple[Group, ...] = ()
    surveys: tuple[str, ...] = ()
    missing_codes: tuple[Choice, ...] = ()
    id_format: str = "{}"


def plan_shape(shape: Shape) -> Plan:
    """Return what a shape is made of; its events and groups are numbered from 1."""
    return _PLANS[shape]


def _events(*named: tuple[str, int, tuple[str, ...]]) -> tuple[Event, ...]:
    return tuple(
        Event(unique_event_name(name, arm), name, arm, number, forms)
        for number, (name, arm, forms) in enumerate(named, start=1)
    )


def _groups(*names: str) -> tuple[Group, ...]:
    return tuple(
        Group(name, unique_group_name(name), number) for number, name in enumerate(names, start=1)
    )


_ARMS = (Arm(1, "Treatment"), Arm(2, "Control"))
_EVENTS = _events(
    ("Enrolment", 1, ("enrolment",)),
    ("Month 3", 1, ("visit",)),
    ("End", 1, ("visit", "outcome")),
    ("Enrolment", 2, ("enrolment",)),
    ("End", 2, ("outcome",)),
)
_EVERY_FORM = ("enrolment", "visit", "outcome", "event_log", "diary")
_EVERY_EVENT = _events(
    ("Enrolment", 1, ("enrolment", "diary")),
    ("Contact", 1, ("visit", "outcome")),
    ("Unscheduled", 1, ("event_log", "diary")),
    ("Enrolment", 2, ("enrolment", "diary")),
    ("Contact", 2, ("visit",)),
)
_PLANS: dict[Shape, Plan] = {
    "classic": Plan(),
    "longitudinal": Plan(arms=_ARMS, events=_EVENTS),
    "repeating": Plan(repeats=(Repeat("", "visit", "[visit_text_1]"), Repeat("", "outcome"))),
    "wide": Plan(forms=tuple(f"form_{number}" for number in range(1, 41)), columns=2000),
    "survey": Plan(surveys=("enrolment", "outcome")),
    "data_access_groups": Plan(groups=_groups("Site North", "Site South", "Site-East 3")),
    "everything": Plan(
        forms=_EVERY_FORM,
        columns=60,
        arms=_ARMS,
        events=_EVERY_EVENT,
        repeats=(
            Repeat("contact_arm_1", ""),
            Repeat("unscheduled_arm_1", "diary"),
            Repeat("enrolment_arm_2", "diary", "[diary_text_1]"),
            Repeat("contact_arm_2", ""),
        ),
        groups=_groups("Site North", "Site South"),
        surveys=("diary",),
        missing_codes=(Choice("NI", "No information"), Choice("-99", "Asked, no answer")),
        id_format="S-{}",
    ),
}
