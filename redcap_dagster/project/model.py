"""Frozen values for a study's design. No network, no frames, no data of participants.

Every name is REDCap's. What the values mean, and where that is written, stands in
`docs/sources.md`.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from redcap_dagster.errors import DesignError
from redcap_dagster.project.snapshot import read_snapshot, to_plain, write_snapshot

FieldType = Literal[
    "text",
    "notes",
    "calc",
    "dropdown",
    "radio",
    "checkbox",
    "yesno",
    "truefalse",
    "file",
    "slider",
    "descriptive",
    "sql",
]
"""The twelve field types of REDCap's data dictionary."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a multiple-choice field: the code that is stored and the label shown."""

    code: str
    label: str


@dataclass(frozen=True, slots=True)
class DictionaryField:
    """One line of the data dictionary.

    Attributes:
        name: The variable name; unique in the project.
        instrument: Unique name of the instrument that holds the field.
        field_type: One of `FieldType`.
        label: What the person entering data reads; may hold HTML and line breaks.
        choices: Choices of dropdown, radio and checkbox in display order, and the implied ones of
            yesno and truefalse. Empty for every other type.
        definition: The text of the dictionary's sixth column as it stands: choices, formula of a
            calculated field, slider labels, SQL, or an ontology.
        note: The field note, where studies usually write the unit.
        validation: Text validation type, "" for none (`date_ymd`, `integer`, …).
        minimum: Lower bound as written, "" for none. It may be `today`, `now` or a `[field]`.
        maximum: Upper bound as written, "" for none.
        is_identifier: Flagged as identifying a person.
        branching_logic: Condition under which the field is shown, "" for always.
        is_required: Flagged as required. REDCap lets a user save without it.
        annotation: Field annotation: notes of the designer and action tags.
    """

    name: str
    instrument: str
    field_type: FieldType
    label: str = ""
    choices: tuple[Choice, ...] = ()
    definition: str = ""
    note: str = ""
    validation: str = ""
    minimum: str = ""
    maximum: str = ""
    is_identifier: bool = False
    branching_logic: str = ""
    is_required: bool = False
    annotation: str = ""
    section_header: str = ""
    alignment: str = ""
    question_number: str = ""
    matrix_group: str = ""
    is_matrix_ranking: bool = False


@dataclass(frozen=True, slots=True)
class Instrument:
    """A data entry form, with its fields in dictionary order (descriptive ones too).

    `fields` is empty for a form that was created and given no field yet: REDCap lists it, and
    exports its form status, but the data dictionary has no line of it.
    """

    name: str
    label: str
    fields: tuple[DictionaryField, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm of a longitudinal project."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    """A visit of an arm. `unique_name` (`baseline_arm_1`) is the key in every export."""

    unique_name: str
    name: str
    arm_number: int


@dataclass(frozen=True, slots=True)
class FormEvent:
    """One tick of the form-event mapping: this instrument is used in this event."""

    event: str
    instrument: str


@dataclass(frozen=True, slots=True)
class RepeatRule:
    """Something that repeats.

    Attributes:
        event: Unique event name, or None in a classic project.
        instrument: The repeating instrument, or None when the event repeats as a whole.
        label: Custom label of an instance, may be "".
    """

    event: str | None
    instrument: str | None
    label: str = ""


@dataclass(frozen=True, slots=True)
class MissingDataCode:
    """A code that stands for a reason why a value is missing (`UNK`, Unknown)."""

    code: str
    label: str


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    """What the `project` method says that shapes an export. No names of persons."""

    project_id: int
    title: str
    is_longitudinal: bool = False
    has_repeating: bool = False
    surveys_enabled: bool = False
    in_production: bool = False
    secondary_unique_field: str = ""
    missing_data_codes: tuple[MissingDataCode, ...] = ()


@dataclass(frozen=True, repr=False)
class RedcapProject:
    """A study's design: its data dictionary, events, arms, mapping and what repeats. Never data.

    Made from API answers by `redcap_dagster.project.parse.parse_project`, or from a file with
    `from_snapshot`. Two projects are equal when their designs are.

    Attributes:
        info: Project settings that shape an export.
        redcap_version: Version the server named, such as `14.7.3`.
        instruments: In dictionary order; at least one.
        arms: Empty in a classic project.
        events: In the project's order; empty in a classic project.
        form_events: Which instrument is used in which event; empty in a classic project.
        repeats: What repeats; empty when nothing does.
    """

    info: ProjectInfo
    redcap_version: str
    instruments: tuple[Instrument, ...]
    arms: tuple[Arm, ...] = ()
    events: tuple[Event, ...] = ()
    form_events: tuple[FormEvent, ...] = ()
    repeats: tuple[RepeatRule, ...] = ()

    def __repr__(self) -> str:
        fields = sum(len(instrument.fields) for instrument in self.instruments)
        return (
            f"RedcapProject(project_id={self.info.project_id}, "
            f"instruments={len(self.instruments)}, fields={fields})"
        )

    @property
    def record_id_field(self) -> str:
        """Name of the field that holds the record id: the first of the dictionary.

        Raises:
            DesignError: The design has no field.
        """
        first = next(self.iter_fields(), None)
        if first is None:
            raise DesignError(
                f"The design of project {self.info.project_id} has no field, so nothing says which "
                "holds the record id. A design starts with the record id field: take the snapshot "
                "anew."
            )
        return first.name

    @cached_property
    def fields_by_name(self) -> dict[str, DictionaryField]:
        """Every field of the dictionary by its name, in dictionary order."""
        return {item.name: item for item in self.iter_fields()}

    @cached_property
    def instruments_by_name(self) -> dict[str, Instrument]:
        """Every instrument by its unique name, in dictionary order."""
        return {item.name: item for item in self.instruments}

    def iter_fields(self) -> Iterator[DictionaryField]:
        """Every field in dictionary order."""
        for instrument in self.instruments:
            yield from instrument.fields

    def events_of(self, instrument: str) -> tuple[str, ...]:
        """Unique names of the events that use an instrument, in event order; () if classic."""
        used = {item.event for item in self.form_events if item.instrument == instrument}
        return tuple(event.unique_name for event in self.events if event.unique_name in used)

    def repeats_as_form(self, instrument: str, event: str | None = None) -> bool:
        """Whether an instrument repeats by itself in an event (None: in a classic project)."""
        return any(rule.instrument == instrument and rule.event == event for rule in self.repeats)

    def event_repeats(self, event: str) -> bool:
        """Whether an event repeats as a whole."""
        return any(rule.event == event and rule.instrument is None for rule in self.repeats)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the design, 64 hex digits. Equal designs have equal fingerprints.

        The server's version, the project's title and whether it is in production are left out:
        they change while every table stays as it was.
        """
        shaping = replace(
            self, redcap_version="", info=replace(self.info, title="", in_production=False)
        )
        text = json.dumps(to_plain(shaping), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def snapshot(self, path: str | Path) -> None:
        """Write the design to one JSON file, whole or not at all.

        The file holds the design and no data, names of persons or times: it can be kept with the
        code, and reads well in a diff. Attributes that have their default are left out.

        Raises:
            SnapshotError: The file cannot be written.
        """
        write_snapshot(Path(path), to_plain(self))

    @classmethod
    def from_snapshot(cls, path: str | Path) -> "RedcapProject":
        """Read a design that `snapshot` wrote. Equal to the design that was written.

        Raises:
            SnapshotError: The file is missing, cut short, of another version, or not a snapshot.
        """
        return read_snapshot(Path(path), cls)
