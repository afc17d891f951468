"""The data dictionary and the names its fields have in an export."""

from redcap_dagster.emulator.answers import Table
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.design import Field
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.names import status_column
from redcap_dagster.emulator.records.columns import field_columns

_METADATA_COLUMNS = (
    "field_name",
    "form_name",
    "section_header",
    "field_type",
    "field_label",
    "select_choices_or_calculations",
    "field_note",
    "text_validation_type_or_show_slider_number",
    "text_validation_min",
    "text_validation_max",
    "identifier",
    "branching_logic",
    "required_field",
    "custom_alignment",
    "question_number",
    "matrix_group_name",
    "matrix_ranking",
    "field_annotation",
)
# `exportFieldNames` leaves files out, though record exports have a column of them.
_TYPES_WITHOUT_EXPORT_NAME = frozenset({"file", "descriptive"})


def export_metadata(call: Call) -> Table:
    """Return the data dictionary in its own order, narrowed by `fields` or `forms`."""
    fields = call.known_names("fields", call.design.fields_by_name)
    forms = call.known_names("forms", call.design.fields_by_form)
    rows = [
        _metadata_row(entry)
        for entry in call.design.fields
        if not (fields or forms) or entry.name in fields or entry.form in forms
    ]
    return Table(_METADATA_COLUMNS, rows, container="records", cdata=True, json_line_breaks=True)


def _metadata_row(entry: Field) -> tuple[str, ...]:
    return (
        entry.name,
        entry.form,
        entry.section_header,
        entry.field_type,
        entry.label,
        choices_text(entry),
        entry.note,
        entry.validation,
        entry.minimum,
        entry.maximum,
        "y" if entry.identifier else "",
        entry.branching_logic,
        "y" if entry.required else "",
        entry.custom_alignment,
        entry.question_number,
        entry.matrix_group_name,
        "y" if entry.matrix_ranking else "",
        entry.annotation,
    )


def choices_text(entry: Field) -> str:
    """Return choices as `1, One | 2, Two`, or the formula that shares their column."""
    if entry.choices:
        return " | ".join(f"{choice.code}, {choice.label}" for choice in entry.choices)
    return entry.formula


def export_field_names(call: Call) -> Table:
    """Return the export column of each field, one a choice for checkboxes."""
    rows: list[tuple[str, str, str]] = []
    for form in call.design.forms:
        for entry in call.design.fields_by_form[form.name]:
            if entry.field_type not in _TYPES_WITHOUT_EXPORT_NAME:
                rows.extend(
                    (entry.name, column.choice.code if column.choice else "", column.name)
                    for column in field_columns(call.design, entry)
                )
        status = status_column(form.name)
        rows.append((status, "", status))
    if wanted := call.parameters.text("field"):
        rows = [row for row in rows if row[0] == wanted]
        if not rows:
            raise RequestRefusedError(
                f"The following values in the parameter \"field\" are not valid: '{wanted}'"
            )
    return Table(("original_field_name", "choice_value", "export_field_name"), rows)
