"""A design as plain values, which is how the state file keeps it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from redcap_dagster.emulator.design import (
    Arm,
    Choice,
    Design,
    Event,
    Field,
    Form,
    Group,
    Repeat,
    Report,
    Role,
    Settings,
    Survey,
)


def design_to_json(design: Design) -> dict[str, Any]:
    """Return the design as plain values that `json.dumps` takes."""
    return asdict(design)


def design_from_json(raw: Mapping[str, Any]) -> Design:
    """Rebuild a design from what `design_to_json` returned."""
    return Design(
        settings=Settings(**raw["settings"]),
        forms=tuple(Form(**form) for form in raw["forms"]),
        fields=tuple(
            Field(**{**entry, "choices": _choices(entry["choices"])}) for entry in raw["fields"]
        ),
        events=tuple(Event(**{**event, "forms": tuple(event["forms"])}) for event in raw["events"]),
        arms=tuple(Arm(**arm) for arm in raw["arms"]),
        repeats=tuple(Repeat(**repeat) for repeat in raw["repeats"]),
        groups=tuple(Group(**group) for group in raw["groups"]),
        roles=tuple(Role(**role) for role in raw["roles"]),
        survey_forms=tuple(raw["survey_forms"]),
        missing_codes=_choices(raw["missing_codes"]),
        longitudinal=raw["longitudinal"],
        surveys=tuple(Survey(**survey) for survey in raw["surveys"]),
        reports=tuple(_report(report) for report in raw["reports"]),
    )


def _report(raw: Mapping[str, Any]) -> Report:
    order_by = tuple((name, direction) for name, direction in raw["order_by"])
    listed = {name: tuple(raw[name]) for name in ("fields", "groups", "events")}
    return Report(**{**raw, **listed, "order_by": order_by})


def _choices(raw: list[Mapping[str, str]]) -> tuple[Choice, ...]:
    return tuple(Choice(**choice) for choice in raw)
