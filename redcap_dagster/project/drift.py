"""What a change of the study's design means for its tables, named change by change."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from redcap_dagster.errors import ConfigError
from redcap_dagster.project.model import Choice, DictionaryField, RedcapProject
from redcap_dagster.project.validation import value_kind

DriftKind = Literal[
    "instrument_added",
    "instrument_removed",
    "instrument_relabelled",
    "field_added",
    "field_removed",
    "field_renamed",
    "field_moved",
    "field_retyped",
    "choice_added",
    "choice_removed",
    "choice_relabelled",
    "choice_recoded",
    "validation_tightened",
    "validation_loosened",
    "branching_changed",
    "calculation_changed",
    "annotation_changed",
    "identifier_changed",
    "field_reworded",
    "event_added",
    "event_removed",
    "event_relabelled",
    "form_added_to_event",
    "form_removed_from_event",
    "starts_repeating",
    "stops_repeating",
    "missing_codes_changed",
    "settings_changed",
]
"""Every kind of drift."""

DriftPolicy = Literal["note", "warn", "block"]
"""What a kind is worth: a line, a failed check, or a failed check that stops dependents."""

DRIFT_MEANINGS: Mapping[DriftKind, str] = {
    "instrument_added": "there is a new table",
    "instrument_removed": "its table stays, without rows, until the snapshot is written anew",
    "instrument_relabelled": "only the description of its table changes",
    "field_added": "its table has a new column",
    "field_removed": "its column is gone from its table",
    "field_renamed": "its column has another name; what reads the old one finds nothing",
    "field_moved": "its column is in another table",
    "field_retyped": "its column has another type; stored values may not fit it",
    "choice_added": "a value may appear that was not known before",
    "choice_removed": "stored values of this choice are no choice any more",
    "choice_relabelled": "the same code is shown with another label",
    "choice_recoded": "the same label has another code: old and new values mean different things",
    "validation_tightened": "values that were right may now break the rules",
    "validation_loosened": "values that broke the rules may now be right",
    "branching_changed": "other records are asked for it",
    "calculation_changed": "its values are made by another formula; old ones are not made anew",
    "annotation_changed": "its action tags, and so what may be entered, can be others",
    "identifier_changed": "de-identification leaves it out, or does so no more",
    "field_reworded": "people are asked in other words, or another way",
    "event_added": "rows of a new event may appear",
    "event_removed": "rows of this event are gone",
    "event_relabelled": "the same event is shown with another label or arm",
    "form_added_to_event": "its table has rows of one more event",
    "form_removed_from_event": "its table has no rows of this event any more",
    "starts_repeating": "its table has another key: one row for each instance",
    "stops_repeating": "its table has another key: one row for all instances",
    "missing_codes_changed": "other values count as a reason why a value is missing",
    "settings_changed": "tables have other columns, or another field is to be unique",
}
"""What each kind means for the tables, as the rest of a sentence."""

_CALCULATING_TAG = re.compile(r"@CALC(TEXT|DATE)\(.*\)", re.DOTALL)
_WARNED: frozenset[DriftKind] = frozenset(
    {
        "instrument_removed",
        "field_removed",
        "field_renamed",
        "field_moved",
        "choice_removed",
        "choice_relabelled",
        "validation_tightened",
        "branching_changed",
        "calculation_changed",
        "identifier_changed",
        "event_removed",
        "form_removed_from_event",
        "missing_codes_changed",
        "settings_changed",
    }
)
_BLOCKING: frozenset[DriftKind] = frozenset(
    {"field_retyped", "choice_recoded", "starts_repeating", "stops_repeating"}
)
DEFAULT_DRIFT_POLICY: Mapping[DriftKind, DriftPolicy] = {
    kind: "block" if kind in _BLOCKING else "warn" if kind in _WARNED else "note"
    for kind in get_args(DriftKind)
}
"""Blocks what changes the meaning of values silently, and warns of what breaks readers."""


def merge_drift_policy(own: Mapping[DriftKind, DriftPolicy]) -> Mapping[DriftKind, DriftPolicy]:
    """A study's own policies over the default ones.

    Raises:
        ConfigError: A kind or a policy is none.
    """
    for kind, policy in own.items():
        if kind not in DEFAULT_DRIFT_POLICY:
            raise ConfigError(
                f"There is no kind of drift {kind!r}. Kinds are {', '.join(DEFAULT_DRIFT_POLICY)}."
            )
        if policy not in get_args(DriftPolicy):
            raise ConfigError(
                f"The policy of {kind} is {policy!r}; it takes {', '.join(get_args(DriftPolicy))}."
            )
    return {**DEFAULT_DRIFT_POLICY, **own}


@dataclass(frozen=True, slots=True)
class Drift:
    """One change of the design.

    Attributes:
        kind: What changed.
        instrument: Unique name of the instrument, where it is now or last was; "" for none.
        field: Name of the field, as it is now or last was; "" for none.
        event: Unique name of the event; "" for none.
        detail: What it was and what it is, in words of the dictionary; "" where the rest says it.
    """

    kind: DriftKind
    instrument: str = ""
    field: str = ""
    event: str = ""
    detail: str = ""

    def __str__(self) -> str:
        """One sentence without its full stop: what changed, and what it means for the tables."""
        where = [
            f"{what} {name}"
            for what, name in (
                ("instrument", "" if self.field else self.instrument),
                ("field", self.field),
                ("event", self.event),
            )
            if name
        ]
        detail = f" ({self.detail})" if self.detail else ""
        meaning = DRIFT_MEANINGS[self.kind]
        return f"{self.kind.replace('_', ' ')}: {', '.join(where)}{detail}: {meaning}"


def find_drift(old: RedcapProject, new: RedcapProject) -> tuple[Drift, ...]:
    """Name what changed between two designs of one project.

    A field is taken for renamed when one is gone, one is new in the same instrument, and nothing
    but the name differs. Order, layout, section headers, matrices' names and the labels of
    instances are not compared.

    Returns:
        Changes of instruments, then of fields in the new order, then of events, repeats and the
        project's settings.
    """
    return (
        *_instrument_drift(old, new),
        *_field_drift(old, new),
        *_event_drift(old, new),
        *_repeat_drift(old, new),
        *_missing_code_drift(old, new),
        *_settings_drift(old, new),
    )


def _instrument_drift(old: RedcapProject, new: RedcapProject) -> Iterator[Drift]:
    before, after = old.instruments_by_name, new.instruments_by_name
    for name, instrument in after.items():
        if name not in before:
            yield Drift("instrument_added", name)
        elif before[name].label != instrument.label:
            yield Drift("instrument_relabelled", name)
    for name in before:
        if name not in after:
            yield Drift("instrument_removed", name)


def _field_drift(old: RedcapProject, new: RedcapProject) -> Iterator[Drift]:
    before, after = old.fields_by_name, new.fields_by_name
    gone = {name: field for name, field in before.items() if name not in after}
    for name, field in after.items():
        if name in before:
            yield from _changes_of(before[name], field)
            continue
        earlier = next((item for item in gone.values() if _is_renamed(item, field)), None)
        if earlier is None:
            yield Drift("field_added", field.instrument, name)
        else:
            del gone[earlier.name]
            yield Drift("field_renamed", field.instrument, name, detail=f"was {earlier.name}")
    for name, field in gone.items():
        yield Drift("field_removed", field.instrument, name)


def _is_renamed(old: DictionaryField, new: DictionaryField) -> bool:
    # Without a label there is too little to tell two fields apart by.
    return bool(new.label) and replace(old, name=new.name) == new


def _changes_of(old: DictionaryField, new: DictionaryField) -> Iterator[Drift]:
    here = Drift("field_reworded", new.instrument, new.name)
    if old.instrument != new.instrument:
        yield replace(here, kind="field_moved", detail=f"was in {old.instrument}")
    retyped = f"{_type(old)} → {_type(new)}"
    if _column_type(old) != _column_type(new):
        yield replace(here, kind="field_retyped", detail=retyped)
    elif old.field_type != new.field_type:
        yield replace(here, detail=retyped)
    yield from _choice_drift(here, old.choices, new.choices)
    yield from _validation_drift(here, old, new)
    if old.branching_logic != new.branching_logic:
        yield replace(here, kind="branching_changed")
    if _calculation(old) != _calculation(new):
        yield replace(here, kind="calculation_changed")
    elif old.annotation != new.annotation:
        yield replace(here, kind="annotation_changed")
    if old.is_identifier != new.is_identifier:
        detail = "flagged" if new.is_identifier else "not flagged any more"
        yield replace(here, kind="identifier_changed", detail=detail)
    if _wording(old) != _wording(new):
        yield here


def _calculation(field: DictionaryField) -> str:
    """The text that says how a field is computed; "" where people fill it in."""
    if field.field_type == "calc":
        return field.definition
    tag = _CALCULATING_TAG.search(field.annotation)
    return "" if tag is None else tag.group()


def _wording(field: DictionaryField) -> tuple[str, ...]:
    """What people read: of a slider its labels, of an sql field or ontology where choices are."""
    is_read = field.field_type in {"slider", "sql", "text"}
    return (field.label, field.note, field.definition if is_read else "")


def _column_type(field: DictionaryField) -> tuple[str, bool]:
    """What its column is: that of a radio field, say, is that of a dropdown."""
    return value_kind(field), field.field_type == "checkbox"


def _type(field: DictionaryField) -> str:
    return f"{field.field_type} {field.validation}".strip()


def _choice_drift(here: Drift, old: tuple[Choice, ...], new: tuple[Choice, ...]) -> Iterator[Drift]:
    before = {choice.code: choice.label for choice in old}
    after = {choice.code: choice.label for choice in new}
    # A label that its old code still has was not taken to another: several choices may share one.
    codes = {label: code for code, label in before.items() if after.get(code) != label}
    recoded = {
        codes[label]: code
        for code, label in after.items()
        if codes.get(label, code) != code and before.get(code) != label
    }
    if recoded:
        detail = ", ".join(f"{old_code} → {code}" for old_code, code in recoded.items())
        yield replace(here, kind="choice_recoded", detail=detail)
    told = {*recoded, *recoded.values()}
    kinds: tuple[tuple[DriftKind, list[str]], ...] = (
        ("choice_added", [code for code in after if code not in before]),
        ("choice_removed", [code for code in before if code not in after]),
        (
            "choice_relabelled",
            [code for code in after if code in before and before[code] != after[code]],
        ),
    )
    for kind, found in kinds:
        left = [code for code in found if code not in told]
        if left:
            yield replace(here, kind=kind, detail=f"code {', '.join(left)}")


def _validation_drift(here: Drift, old: DictionaryField, new: DictionaryField) -> Iterator[Drift]:
    pairs = (
        ("format", old.validation, new.validation),
        ("minimum", old.minimum, new.minimum),
        ("maximum", old.maximum, new.maximum),
        ("required", "y" if old.is_required else "", "y" if new.is_required else ""),
        ("ranking", "y" if old.is_matrix_ranking else "", "y" if new.is_matrix_ranking else ""),
    )
    for what, before, after in pairs:
        if before == after:
            continue
        # A bound that was moved counts as tightened: which way is not known of dates and fields.
        is_looser = not after or _is_wider(what, before, after)
        yield replace(
            here,
            kind="validation_loosened" if is_looser else "validation_tightened",
            detail=f"{what} {before or 'none'} → {after or 'none'}",
        )


def _is_wider(what: str, before: str, after: str) -> bool:
    try:
        low, high = float(before), float(after)
    except ValueError:
        return False
    return high < low if what == "minimum" else what == "maximum" and high > low


def _event_drift(old: RedcapProject, new: RedcapProject) -> Iterator[Drift]:
    before = [event.unique_name for event in old.events]
    after = [event.unique_name for event in new.events]
    yield from (Drift("event_added", event=name) for name in after if name not in before)
    yield from (Drift("event_removed", event=name) for name in before if name not in after)
    labels, new_labels = _event_labels(old), _event_labels(new)
    for name in after:
        if name in before and labels[name] != new_labels[name]:
            detail = f"{' in '.join(labels[name])} → {' in '.join(new_labels[name])}"
            yield Drift("event_relabelled", event=name, detail=detail)
    ticks, new_ticks = set(old.form_events), set(new.form_events)
    shared = set(before) & set(after)
    kinds: tuple[tuple[DriftKind, RedcapProject, set[object]], ...] = (
        ("form_added_to_event", new, set(new_ticks - ticks)),
        ("form_removed_from_event", old, set(ticks - new_ticks)),
    )
    for kind, project, changed in kinds:
        for tick in project.form_events:
            if tick in changed and tick.event in shared:
                yield Drift(kind, tick.instrument, event=tick.event)


def _event_labels(project: RedcapProject) -> dict[str, tuple[str, str]]:
    """Of each event its name, and its arm."""
    arms = {arm.number: arm.name for arm in project.arms}
    return {
        event.unique_name: (
            event.name,
            f"arm {event.arm_number} {arms.get(event.arm_number, '')}".rstrip(),
        )
        for event in project.events
    }


def _repeat_drift(old: RedcapProject, new: RedcapProject) -> Iterator[Drift]:
    before = {(rule.event, rule.instrument) for rule in old.repeats}
    after = {(rule.event, rule.instrument) for rule in new.repeats}
    for rule in new.repeats:
        if (rule.event, rule.instrument) not in before:
            yield Drift("starts_repeating", rule.instrument or "", event=rule.event or "")
    for rule in old.repeats:
        if (rule.event, rule.instrument) not in after:
            yield Drift("stops_repeating", rule.instrument or "", event=rule.event or "")


def _missing_code_drift(old: RedcapProject, new: RedcapProject) -> Iterator[Drift]:
    before = [code.code for code in old.info.missing_data_codes]
    after = [code.code for code in new.info.missing_data_codes]
    if before != after:
        detail = f"{', '.join(before) or 'none'} → {', '.join(after) or 'none'}"
        yield Drift("missing_codes_changed", detail=detail)


def _settings_drift(old: RedcapProject, new: RedcapProject) -> Iterator[Drift]:
    pairs = (
        (
            "secondary unique field",
            old.info.secondary_unique_field or "none",
            new.info.secondary_unique_field or "none",
        ),
        (
            "surveys",
            "enabled" if old.info.surveys_enabled else "not enabled",
            "enabled" if new.info.surveys_enabled else "not enabled",
        ),
    )
    for what, before, after in pairs:
        if before != after:
            yield Drift("settings_changed", detail=f"{what}: {before} → {after}")
