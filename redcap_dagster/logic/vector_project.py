"""The study's design behind a worked example: as much of one as the example says."""

import re
from collections.abc import Mapping
from typing import Any

from redcap_dagster.errors import LogicError
from redcap_dagster.logic.parser import parse_logic
from redcap_dagster.logic.tree import Reference, references
from redcap_dagster.project import (
    Arm,
    Choice,
    DictionaryField,
    Event,
    FormEvent,
    Instrument,
    ProjectInfo,
    RedcapProject,
    RepeatRule,
)

_RECORD_ID = "record_id"
_SYSTEM_COLUMNS = frozenset(
    {
        "redcap_event_name",
        "redcap_repeat_instrument",
        "redcap_repeat_instance",
        "redcap_data_access_group",
    }
)


def build_vector_project(item: Mapping[str, Any]) -> RedcapProject:
    """Build the design that a worked example describes.

    An example with a single row names no design: its columns and the fields that its expression
    names make one form of a classic project. A field is a checkbox if a code is asked of it.
    """
    project = item.get("project") or {}
    record_id = project.get("record_id", _RECORD_ID)
    asked = _references(item["expr"])
    forms = project.get("forms") or {"form": [record_id, *_row_fields(item), *_names(asked)]}
    events = tuple(_event(name) for name in project.get("events") or ())
    described = item.get("fields", {}).items()
    validations = {name: about.get("validation", "") for name, about in described}
    repeats = project.get("repeating") or ()
    return RedcapProject(
        info=ProjectInfo(
            1, "worked example", is_longitudinal=bool(events), has_repeating=bool(repeats)
        ),
        redcap_version="",
        instruments=_instruments(forms, record_id, asked, validations),
        arms=_arms(events),
        events=events,
        form_events=tuple(
            FormEvent(event, form)
            for event, designated in (project.get("designations") or {}).items()
            for form in designated
        ),
        repeats=tuple(RepeatRule(rule.get("event"), rule.get("form")) for rule in repeats),
    )


def _arms(events: tuple[Event, ...]) -> tuple[Arm, ...]:
    numbers = dict.fromkeys(event.arm_number for event in events)
    return tuple(Arm(number, f"Arm {number}") for number in numbers)


def _references(expr: str) -> tuple[Reference, ...]:
    try:
        return references(parse_logic(expr))
    except LogicError:
        # Whoever runs the example reports it.
        return ()


def _names(asked: tuple[Reference, ...]) -> list[str]:
    return [reference.name for reference in asked if not reference.is_smart]


def _row_fields(item: Mapping[str, Any]) -> list[str]:
    return [name for name in item.get("row", {}) if name not in _SYSTEM_COLUMNS]


def _event(name: str) -> Event:
    found = re.search(r"_arm_(\d+)", name)
    stem = name if found is None else name[: found.start()]
    return Event(name, stem, 1 if found is None else int(found[1]))


def _instruments(
    forms: Mapping[str, list[str]],
    record_id: str,
    asked: tuple[Reference, ...],
    validations: Mapping[str, str],
) -> tuple[Instrument, ...]:
    codes: dict[str, tuple[str, ...]] = {}
    for reference in asked:
        if reference.code is not None:
            known = codes.get(reference.name, ())
            codes[reference.name] = tuple(dict.fromkeys([*known, reference.code]))
    statuses = {f"{form}_complete" for form in forms}
    listed = {form: [name.split("___")[0] for name in names] for form, names in forms.items()}
    first = next(iter(listed))
    # The record id field is the first of the first form, wherever the example lists it.
    listed[first] = [record_id, *(name for name in listed[first] if name != record_id)]
    return tuple(
        Instrument(
            form,
            form,
            tuple(
                _field(name, form, codes.get(name, ()), validations.get(name, ""))
                for name in dict.fromkeys(names)
                if name not in statuses
            ),
        )
        for form, names in listed.items()
    )


def _field(name: str, form: str, codes: tuple[str, ...], validation: str) -> DictionaryField:
    return DictionaryField(
        name,
        form,
        "checkbox" if codes else "text",
        choices=tuple(Choice(code, code) for code in codes),
        validation=validation,
    )
