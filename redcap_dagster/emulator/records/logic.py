"""What the package's logic room needs of a project: its design and rows, in that room's terms.

The only module of the emulator that knows the rest of the package. Logic is shared on purpose: it
is tested against captured answers of its own, and two readings of REDCap's language would differ.
"""

from collections.abc import Mapping
from typing import cast

from redcap_dagster.emulator.design import Design, Field
from redcap_dagster.emulator.names import checkbox_column
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.errors import LogicError
from redcap_dagster.logic import (
    Expression,
    Reference,
    check_logic,
    parse_calculation,
    parse_logic,
    references,
)
from redcap_dagster.project.model import (
    Arm,
    Choice,
    DictionaryField,
    Event,
    FieldType,
    FormEvent,
    Instrument,
    MissingDataCode,
    ProjectInfo,
    RedcapProject,
    RepeatRule,
)

__all__ = [
    "Expression",
    "LogicError",
    "RedcapProject",
    "Reference",
    "calculations",
    "column_of",
    "flat_row",
    "parse_checked",
    "references",
    "study_of",
]


def study_of(design: Design, project_id: int) -> RedcapProject:
    """Return a design as the logic room knows one."""
    info = ProjectInfo(
        project_id,
        design.settings.title,
        is_longitudinal=design.is_longitudinal,
        has_repeating=bool(design.repeats),
        surveys_enabled=bool(design.settings.surveys_enabled),
        missing_data_codes=tuple(
            MissingDataCode(code.code, code.label) for code in design.missing_codes
        ),
    )
    return RedcapProject(
        info,
        "",
        tuple(
            Instrument(
                form.name,
                form.label,
                tuple(_dictionary_field(entry) for entry in design.fields_by_form[form.name]),
            )
            for form in design.forms
        ),
        tuple(Arm(arm.number, arm.name) for arm in design.arms),
        tuple(Event(event.unique_name, event.name, event.arm_number) for event in design.events),
        tuple(
            FormEvent(event.unique_name, form) for event in design.events for form in event.forms
        ),
        tuple(
            RepeatRule(rule.event or None, rule.form or None, rule.label) for rule in design.repeats
        ),
    )


def parse_checked(text: str, study: RedcapProject) -> Expression:
    """Parse logic whose every name must be there.

    Raises:
        LogicError: It cannot be read, or names what is not there.
    """
    expression = parse_logic(text)
    for error in check_logic(expression, study):
        raise error
    return expression


def calculations(study: RedcapProject) -> dict[str, Expression]:
    """Return the fields that are computed, with what computes them.

    A formula that cannot be read computes nothing: a server keeps the value, and says so nowhere.
    """
    found = {}
    for entry in study.iter_fields():
        try:
            expression = parse_calculation(entry)
            if expression is None or check_logic(expression, study, instrument=entry.instrument):
                continue
        except LogicError:
            continue
        found[entry.name] = expression
    return found


def column_of(reference: Reference) -> str:
    """Return the stored column that a reference to a field reads."""
    if reference.code is None:
        return reference.name
    return checkbox_column(reference.name, reference.code)


def flat_row(design: Design, row: StoredRow) -> Mapping[str, str]:
    """Return a stored row as a row of a flat export, without its blanks."""
    return {
        **row.cells,
        design.record_id_field: row.record_id,
        "redcap_event_name": row.event,
        "redcap_repeat_instrument": row.instrument,
        "redcap_repeat_instance": str(row.instance or ""),
        "redcap_data_access_group": row.group,
    }


def _dictionary_field(entry: Field) -> DictionaryField:
    return DictionaryField(
        entry.name,
        entry.form,
        cast("FieldType", entry.field_type),
        entry.label,
        tuple(Choice(choice.code, choice.label) for choice in entry.value_choices),
        entry.formula,
        validation=entry.validation,
        minimum=entry.minimum,
        maximum=entry.maximum,
        annotation=entry.annotation,
    )
