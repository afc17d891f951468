"""From the rows of arms, events, mappings and repeats to a study's schedule."""

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from redcap_dagster.project.answers import ProjectAnswers, cell_flag, cell_name
from redcap_dagster.project.contradictions import Contradiction
from redcap_dagster.project.model import Arm, Event, FormEvent, RepeatRule


class Schedule(NamedTuple):
    """When instruments are used: all empty in a classic project where nothing repeats."""

    arms: tuple[Arm, ...]
    events: tuple[Event, ...]
    form_events: tuple[FormEvent, ...]
    repeats: tuple[RepeatRule, ...]


def parse_schedule(
    answers: ProjectAnswers, instruments: Collection[str], found: list[Contradiction]
) -> Schedule:
    """Parse arms, events, form-event mapping and repeats, each in the order of its answer.

    Args:
        answers: What the API answered.
        instruments: Unique names of the project's instruments.
        found: Contradictions are appended here.
    """
    schedule = Schedule(
        arms=_parse_arms(answers, found),
        events=_parse_events(answers, found),
        form_events=_parse_form_events(answers),
        repeats=_parse_repeats(answers),
    )
    _check_longitudinal(schedule, answers, found)
    _check_references(schedule, instruments, found)
    _check_repeats(schedule, answers, found)
    return schedule


def _parse_number(text: str, what: str, found: list[Contradiction]) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    found.append(Contradiction(f"{what} has no arm number"))
    return 0


def _parse_arms(answers: ProjectAnswers, found: list[Contradiction]) -> tuple[Arm, ...]:
    arms = []
    for row in answers.arms:
        name = cell_name(row, "name")
        arms.append(Arm(_parse_number(cell_name(row, "arm_num"), f"arm '{name}'", found), name))
    return tuple(arms)


def _parse_events(answers: ProjectAnswers, found: list[Contradiction]) -> tuple[Event, ...]:
    events = []
    for row in answers.events:
        unique_name = cell_name(row, "unique_event_name")
        number = _parse_number(cell_name(row, "arm_num"), f"event '{unique_name}'", found)
        events.append(Event(unique_name, cell_name(row, "event_name"), number))
    return tuple(events)


def _parse_form_events(answers: ProjectAnswers) -> tuple[FormEvent, ...]:
    return tuple(
        FormEvent(cell_name(row, "unique_event_name"), cell_name(row, "form"))
        for row in answers.form_event_mappings
    )


def _parse_repeats(answers: ProjectAnswers) -> tuple[RepeatRule, ...]:
    return tuple(
        RepeatRule(
            event=cell_name(row, "event_name") or None,
            instrument=cell_name(row, "form_name") or None,
            label=cell_name(row, "custom_form_label"),
        )
        for row in answers.repeating_instruments_events
    )


def _check_longitudinal(
    schedule: Schedule, answers: ProjectAnswers, found: list[Contradiction]
) -> None:
    if cell_flag(answers.project_info, "is_longitudinal"):
        if not schedule.events:
            found.append(Contradiction("the project is longitudinal and lists no events"))
    elif schedule.events or schedule.form_events:
        found.append(Contradiction("the project is classic and lists events"))


def _check_references(
    schedule: Schedule, instruments: Collection[str], found: list[Contradiction]
) -> None:
    arms = {item.number for item in schedule.arms}
    events = {item.unique_name for item in schedule.events}
    found.extend(
        Contradiction(f"the event name '{name}' is used {uses} times")
        for name, uses in Counter(item.unique_name for item in schedule.events).items()
        if uses > 1
    )
    found.extend(
        Contradiction(
            f"event '{item.unique_name}' is in arm {item.arm_number}, which is not listed"
        )
        for item in schedule.events
        if item.arm_number not in arms
    )
    used: list[tuple[str | None, str | None, str]] = [
        (item.event, item.instrument, "the form-event mapping") for item in schedule.form_events
    ]
    used += [(item.event, item.instrument, "the repeating setup") for item in schedule.repeats]
    for event, instrument, source in used:
        if event is not None and event not in events:
            found.append(Contradiction(f"{source} names the unknown event '{event}'"))
        if instrument is not None and instrument not in instruments:
            sentence = f"{source} names the unknown instrument '{instrument}'"
            found.append(Contradiction(sentence, instrument))


def _check_repeats(schedule: Schedule, answers: ProjectAnswers, found: list[Contradiction]) -> None:
    flag = "has_repeating_instruments_or_events"
    says_repeats = cell_flag(answers.project_info, flag)
    if says_repeats and not schedule.repeats:
        found.append(
            Contradiction(
                "the project has something that repeats and the repeating setup is empty "
                "(the API token may lack the right Project Design and Setup)"
            )
        )
    if schedule.repeats and not says_repeats and flag in answers.project_info:
        found.append(Contradiction("the repeating setup is not empty and nothing repeats"))
    whole_events = {item.event for item in schedule.repeats if item.instrument is None}
    for item in schedule.repeats:
        if item.event is None and (item.instrument is None or schedule.events):
            found.append(Contradiction("the repeating setup has a line that names no event"))
        elif item.instrument is not None and item.event in whole_events:
            sentence = (
                f"instrument '{item.instrument}' repeats by itself in event '{item.event}', "
                "which repeats as a whole"
            )
            found.append(Contradiction(sentence, item.instrument))
