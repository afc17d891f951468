"""Which columns a record export has, in REDCap's order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from redcap_dagster.emulator.design import STATUS_CHOICES, Choice, Design, Field
from redcap_dagster.emulator.names import checkbox_column, status_column, timestamp_column
from redcap_dagster.emulator.records.request import RecordRequest

Kind = Literal[
    "record", "event", "repeat_instrument", "repeat_instance", "group", "identifier", "value"
]


@dataclass(frozen=True)
class Column:
    """One column of the flat export.

    Attributes:
        name: Its raw header, which is also the key of stored values.
        label: Its header when label headers are asked for.
        kind: What fills it; `value` is a stored value of `form`.
        form: Instrument it belongs to, or "".
        field: Dictionary field it belongs to, or None (form status, time stamps, system columns).
        choice: The choice a checkbox column stands for, or None.
        choices: What its codes mean.
        default: What a cell holds when the form applies to the row and nothing is stored.
        combined: For a checkbox field in one column: stored column and choice of each box.
    """

    name: str
    label: str
    kind: Kind = "value"
    form: str = ""
    field: Field | None = None
    choice: Choice | None = None
    choices: tuple[Choice, ...] = ()
    default: str = ""
    combined: tuple[tuple[str, Choice], ...] = ()

    @property
    def stored_names(self) -> tuple[str, ...]:
        """The stored columns its cells are made of."""
        return tuple(name for name, _ in self.combined) or (self.name,)


def plan_columns(design: Design, request: RecordRequest) -> tuple[Column, ...]:
    """Return the columns of a flat export: system columns, then instrument by instrument.

    Event and repeat columns come only with the record id (REDCap 6.0 release note).
    """
    first = design.fields[0]
    columns: list[Column] = []
    if request.asks_field(first.name, first.form):
        columns.append(Column(first.name, first.label, "record", first.form, first))
        columns.extend(_identifying_columns(design))
    if request.groups and design.groups:
        columns.append(Column("redcap_data_access_group", "Data Access Group", "group"))
    if request.survey_fields and design.survey_forms and not request.hidden.survey_identifier:
        columns.append(Column("redcap_survey_identifier", "Survey Identifier", "identifier"))
    for form in design.forms:
        if form.name in request.hidden.forms:
            continue
        columns.extend(_form_columns(design, request, form.name))
    return tuple(columns)


def _identifying_columns(design: Design) -> Iterator[Column]:
    if design.is_longitudinal:
        yield Column("redcap_event_name", "Event Name", "event")
    if design.repeats:
        yield Column("redcap_repeat_instrument", "Repeat Instrument", "repeat_instrument")
        yield Column("redcap_repeat_instance", "Repeat Instance", "repeat_instance")


def _form_columns(design: Design, request: RecordRequest, form: str) -> list[Column]:
    columns = [
        column
        for entry in design.fields_by_form[form]
        if entry.has_column
        and entry.name != design.record_id_field
        and entry.name not in request.hidden.fields
        and request.asks_field(entry.name, form)
        for column in _asked_columns(design, request, entry)
    ]
    status = status_column(form)
    if request.asks_field(status, form):
        default = "" if request.blank_gray_status else "0"
        columns.append(
            Column(status, "Complete?", form=form, choices=STATUS_CHOICES, default=default)
        )
    if (columns or form in request.forms) and request.survey_fields and form in design.survey_forms:
        columns.insert(0, Column(timestamp_column(form), "Survey Timestamp", form=form))
    return columns


def _asked_columns(design: Design, request: RecordRequest, entry: Field) -> Iterator[Column]:
    if not request.combined_checkboxes or entry.field_type != "checkbox":
        return field_columns(design, entry)
    boxes = tuple(
        (checkbox_column(entry.name, choice.code), choice)
        for choice in design.checkbox_choices(entry)
    )
    return iter((Column(entry.name, entry.label, form=entry.form, field=entry, combined=boxes),))


def field_columns(design: Design, entry: Field) -> Iterator[Column]:
    """Yield the export columns of one field: one a choice for a checkbox, else one."""
    if entry.field_type != "checkbox":
        yield Column(
            entry.name, entry.label, form=entry.form, field=entry, choices=entry.value_choices
        )
        return
    for choice in design.checkbox_choices(entry):
        yield Column(
            checkbox_column(entry.name, choice.code),
            f"{entry.label} (choice={choice.label})",
            form=entry.form,
            field=entry,
            choice=choice,
            default="0",
        )
