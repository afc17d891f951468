"""A project's design as the emulator keeps it: frozen values, no data, no server.

Names are REDCap's own of the data dictionary; events are called by their unique names, and the one
unnamed event of a classic project by "".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from redcap_dagster.emulator.names import checkbox_column, status_column

NO_COLUMN_TYPES = frozenset({"descriptive"})


@dataclass(frozen=True)
class Choice:
    """One choice of a categorical field."""

    code: str
    label: str


IMPLIED_CHOICES: Mapping[str, tuple[Choice, ...]] = {
    "yesno": (Choice("1", "Yes"), Choice("0", "No")),
    "truefalse": (Choice("1", "True"), Choice("0", "False")),
}
STATUS_CHOICES = (Choice("0", "Incomplete"), Choice("1", "Unverified"), Choice("2", "Complete"))


@dataclass(frozen=True)
class Field:
    """One row of the data dictionary.

    `choices` holds the choices of radio, dropdown and checkbox fields; `formula` the calculation,
    slider labels, query or ontology that REDCap keeps in the same dictionary column.
    """

    name: str
    form: str
    field_type: str
    label: str
    choices: tuple[Choice, ...] = ()
    formula: str = ""
    section_header: str = ""
    note: str = ""
    validation: str = ""
    minimum: str = ""
    maximum: str = ""
    identifier: bool = False
    branching_logic: str = ""
    required: bool = False
    custom_alignment: str = ""
    question_number: str = ""
    matrix_group_name: str = ""
    matrix_ranking: bool = False
    annotation: str = ""

    @property
    def value_choices(self) -> tuple[Choice, ...]:
        """The choices a value may have, those of yes-no and true-false fields among them."""
        return IMPLIED_CHOICES.get(self.field_type, self.choices)

    @property
    def has_column(self) -> bool:
        """Whether a record export has a column of this field."""
        return self.field_type not in NO_COLUMN_TYPES


@dataclass(frozen=True)
class Form:
    """One instrument."""

    name: str
    label: str


@dataclass(frozen=True)
class Event:
    """One event of a longitudinal project and the instruments designated to it."""

    unique_name: str
    name: str
    arm_number: int
    event_id: int
    forms: tuple[str, ...]
    custom_label: str = ""
    day_offset: int = 0
    offset_min: int = 0
    offset_max: int = 0


@dataclass(frozen=True)
class Arm:
    """One arm of a longitudinal project."""

    number: int
    name: str


@dataclass(frozen=True)
class Repeat:
    """Something that repeats: an instrument in an event, or a whole event (`form` is "")."""

    event: str
    form: str
    label: str = ""


@dataclass(frozen=True)
class Group:
    """One data access group."""

    name: str
    unique_name: str
    group_id: int


@dataclass(frozen=True)
class Role:
    """One user role: rights by REDCap's API name, form rights by instrument."""

    unique_name: str
    label: str
    rights: Mapping[str, int]
    forms: Mapping[str, int]
    forms_export: Mapping[str, int]


@dataclass(frozen=True)
class Survey:
    """Settings of an instrument that is a survey."""

    form: str
    title: str = ""
    save_and_return: bool = False


@dataclass(frozen=True)
class Report:
    """One report, as the project's XML holds it.

    Attributes:
        report_id: Its number.
        unique_name: Such as `R-3788YK8R7X`.
        title: Its title.
        fields: Its columns, in its own order; form status fields among them.
        order_by: Fields that its rows are sorted by, each with `ASC` or `DESC`.
        filter_type: `RECORD` keeps whole records of which one row passes, `EVENT` rows.
        logic: The advanced logic of its filter, or "".
        limiter_logic: The logic of its simple filter, or "".
        groups: Data access groups it is limited to; empty is all.
        events: Unique names of the events it is limited to; empty is all.
        combine_checkboxes: Whether a checkbox field is one column.
        output_groups: Whether it shows the data access group.
        output_survey_fields: Whether it shows survey identifiers and time stamps.
        remove_line_breaks: Whether line breaks in values become two blanks.
    """

    report_id: int
    unique_name: str
    title: str
    fields: tuple[str, ...]
    order_by: tuple[tuple[str, str], ...] = ()
    filter_type: str = "EVENT"
    logic: str = ""
    limiter_logic: str = ""
    groups: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    combine_checkboxes: bool = False
    output_groups: bool = False
    output_survey_fields: bool = False
    remove_line_breaks: bool = True


@dataclass(frozen=True)
class Settings:
    """Project settings that the project-information method shows."""

    title: str
    creation_time: str
    purpose: int = 0
    purpose_other: str = ""
    project_notes: str = ""
    custom_record_label: str = ""
    secondary_unique_field: str = ""
    surveys_enabled: int = 0
    scheduling_enabled: int = 0
    record_autonumbering_enabled: int = 0
    randomization_enabled: int = 0
    display_today_now_button: int = 1
    bypass_branching_erase_field_prompt: int = 0
    project_language: str = "English"
    project_irb_number: str = ""
    project_grant_number: str = ""
    project_pi_firstname: str = ""
    project_pi_lastname: str = ""
    project_pi_email: str = ""
    production_time: str = ""
    external_modules: str = ""
    survey_email_field: str = ""

    @property
    def in_production(self) -> bool:
        """Whether the project was moved to Production status."""
        return bool(self.production_time)


@dataclass(frozen=True)
class Design:
    """A whole design. Orders are REDCap's: dictionary order, arm and event order."""

    settings: Settings
    forms: tuple[Form, ...]
    fields: tuple[Field, ...]
    events: tuple[Event, ...] = ()
    arms: tuple[Arm, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    groups: tuple[Group, ...] = ()
    roles: tuple[Role, ...] = ()
    survey_forms: tuple[str, ...] = ()
    missing_codes: tuple[Choice, ...] = field(default=())
    longitudinal: bool = False
    surveys: tuple[Survey, ...] = ()
    reports: tuple[Report, ...] = ()

    @property
    def record_id_field(self) -> str:
        """Name of the first field of the dictionary, which holds the record id."""
        return self.fields[0].name

    @property
    def is_longitudinal(self) -> bool:
        """Whether the project has events, or waits for its first one."""
        return self.longitudinal or bool(self.events)

    @cached_property
    def fields_by_name(self) -> dict[str, Field]:
        """Field name → field."""
        return {entry.name: entry for entry in self.fields}

    @cached_property
    def fields_by_form(self) -> dict[str, tuple[Field, ...]]:
        """Instrument name → its fields, in dictionary order; every instrument is a key."""
        return {
            form.name: tuple(entry for entry in self.fields if entry.form == form.name)
            for form in self.forms
        }

    @cached_property
    def form_order(self) -> dict[str, int]:
        """Instrument name → position in the dictionary."""
        return {form.name: position for position, form in enumerate(self.forms)}

    @cached_property
    def event_order(self) -> dict[str, int]:
        """Unique event name → position; the event "" of a classic project is 0."""
        if not self.is_longitudinal:
            return {"": 0}
        return {event.unique_name: position for position, event in enumerate(self.events)}

    @cached_property
    def _repeats(self) -> frozenset[tuple[str, str]]:
        return frozenset((repeat.event, repeat.form) for repeat in self.repeats)

    def repeats_as_form(self, event: str, form: str) -> bool:
        """Whether `form` repeats on its own in `event`."""
        return (event, form) in self._repeats

    def repeats_as_event(self, event: str) -> bool:
        """Whether `event` repeats as a whole."""
        return (event, "") in self._repeats

    def forms_of_event(self, event: str) -> tuple[str, ...]:
        """Names of the instruments designated to `event`; all of them in a classic project."""
        if not self.is_longitudinal:
            return tuple(form.name for form in self.forms)
        return self.events[self.event_order[event]].forms

    def has_place(self, event: str, instrument: str, instance: int) -> bool:
        """Whether a row of data can be seen where it is stored.

        Data of events, and instances of what no longer repeats, stay stored and are not shown.
        """
        if event not in self.event_order:
            return False
        if instrument:
            return self.repeats_as_form(event, instrument)
        return (instance > 0) == self.repeats_as_event(event)

    @cached_property
    def column_forms(self) -> dict[str, str]:
        """Stored column name → instrument, for every value a row of data can hold."""
        owners = {status_column(form.name): form.name for form in self.forms}
        for entry in self.fields:
            if entry.field_type != "checkbox":
                owners[entry.name] = entry.form
            for choice in self.checkbox_choices(entry):
                owners[checkbox_column(entry.name, choice.code)] = entry.form
        return owners

    def checkbox_choices(self, entry: Field) -> tuple[Choice, ...]:
        """Choices of a checkbox field with the project's missing data codes after them."""
        if entry.field_type != "checkbox":
            return ()
        return (*entry.choices, *self.missing_codes)
