"""Writes the fields of a project XML: definitions, bounds and choices."""

import re
from collections.abc import Iterator

from redcap_dagster.emulator.design import STATUS_CHOICES, Choice, Field
from redcap_dagster.emulator.names import checkbox_column, status_column
from redcap_dagster.emulator.odm.markup import element, escaped_text, tag

_FIELD_TYPES = {"dropdown": "select", "notes": "textarea"}
_VALIDATIONS = {"integer": "int", "number": "float"}
_FORMULAS = {"calc": "Calculation", "slider": "SliderLabels", "text": "OntologySearch"}
_DATA_TYPES = {
    "calc": "float",
    "slider": "integer",
    "yesno": "boolean",
    "truefalse": "boolean",
    "checkbox": "boolean",
}
_CHECKED = (Choice("1", "Checked"), Choice("0", "Unchecked"))


def field_items(entry: Field) -> tuple[str, ...]:
    """Return the item ids of a field: one a choice for a checkbox."""
    if entry.field_type == "checkbox":
        return tuple(checkbox_column(entry.name, choice.code) for choice in entry.choices)
    return (entry.name,)


def iter_plain_item(name: str, label: str, data_type: str) -> Iterator[str]:
    """Yield the definition of an item that is no field."""
    yield tag("ItemDef", _item_names(name, name, data_type, 999))
    yield from _question(label)
    yield "</ItemDef>"


def iter_status_item(form: str) -> Iterator[str]:
    """Yield the definition of an instrument's form status."""
    status = status_column(form)
    attributes = {
        **_item_names(status, status, "text", 1),
        "redcap:FieldType": "select",
        "redcap:SectionHeader": "Form Status",
    }
    yield tag("ItemDef", attributes)
    yield from _question("Complete?")
    yield tag("CodeListRef", {"CodeListOID": f"{status}.choices"}, closed=True)
    yield "</ItemDef>"


def iter_status_choices(form: str) -> Iterator[str]:
    """Yield the choices of an instrument's form status."""
    status = status_column(form)
    yield from _choice_list(status, status, STATUS_CHOICES)


def _item_names(item: str, variable: str, data_type: str, length: int) -> dict[str, str | int]:
    return {
        "OID": item,
        "Name": item,
        "DataType": data_type,
        "Length": length,
        "redcap:Variable": variable,
    }


def iter_field_item(entry: Field, item: str) -> Iterator[str]:
    """Yield the definition of one item of a field."""
    is_text = entry.field_type == "text"
    validation = entry.validation
    optional = {
        "TextValidationType": _VALIDATIONS.get(validation, validation) if is_text else validation,
        _FORMULAS.get(entry.field_type, ""): entry.formula,
        "SectionHeader": entry.section_header,
        "FieldNote": entry.note,
        "BranchingLogic": entry.branching_logic,
        "CustomAlignment": entry.custom_alignment,
        "QuestionNumber": entry.question_number,
        "MatrixGroupName": entry.matrix_group_name,
        "MatrixRanking": "y" if entry.matrix_ranking else "",
        "RequiredField": "y" if entry.required else "",
        "Identifier": "y" if entry.identifier else "",
        "FieldAnnotation": entry.annotation,
    }
    field_type = _FIELD_TYPES.get(entry.field_type, entry.field_type)
    length = 1 if entry.field_type == "checkbox" else 999
    attributes = {
        **_item_names(item, entry.name, _data_type(entry), length),
        "redcap:FieldType": field_type,
        **{f"redcap:{name}": value for name, value in optional.items() if name and value},
    }
    yield tag("ItemDef", attributes)
    yield from _question(entry.label)
    if entry.value_choices:
        yield tag("CodeListRef", {"CodeListOID": f"{item}.choices"}, closed=True)
    for comparator, bound in (("GE", entry.minimum), ("LE", entry.maximum)):
        if bound:
            yield tag("RangeCheck", {"Comparator": comparator, "SoftHard": "Soft"})
            yield element("CheckValue", _odm_bound(entry, bound))
            message = f"The value you provided is outside the suggested range ({entry.minimum} - "
            message += f"{entry.maximum}). This value is admissible, but you may wish to double "
            message += "check it."
            yield f"<ErrorMessage>{element('TranslatedText', message)}</ErrorMessage>"
            yield "</RangeCheck>"
    yield "</ItemDef>"


def _odm_bound(entry: Field, bound: str) -> str:
    return bound.replace(" ", "T", 1) if entry.validation.startswith("datetime") else bound


def _data_type(entry: Field) -> str:
    if entry.field_type in _DATA_TYPES:
        return _DATA_TYPES[entry.field_type]
    for prefix in ("datetime", "date", "time", "integer"):
        if entry.validation.startswith(prefix):
            return {"time": "partialTime"}.get(prefix, prefix)
    return "float" if entry.validation.startswith("number") else "text"


def _question(label: str) -> Iterator[str]:
    if "<" in label:
        plain = re.sub(r"<[^>]*>", "", label)
        formatted = f"<redcap:FormattedTranslatedText>{escaped_text(label)}"
        formatted += "</redcap:FormattedTranslatedText>"
    else:
        plain, formatted = label, ""
    yield f"<Question>{element('TranslatedText', plain)}{formatted}</Question>"


def iter_field_choices(entry: Field) -> Iterator[str]:
    """Yield the choices of a field, for each of its items."""
    if entry.field_type == "checkbox":
        listed = " | ".join(f"{choice.code}, {choice.label}" for choice in entry.choices)
        for item in field_items(entry):
            yield from _choice_list(item, entry.name, _CHECKED, listed)
    elif entry.value_choices:
        yield from _choice_list(entry.name, entry.name, entry.value_choices)


def _choice_list(
    item: str, variable: str, choices: tuple[Choice, ...], checkbox: str = ""
) -> Iterator[str]:
    attributes = {"OID": f"{item}.choices", "Name": item, "DataType": "text"}
    attributes["redcap:Variable"] = variable
    if checkbox:
        attributes["redcap:CheckboxChoices"] = checkbox
    yield tag("CodeList", attributes)
    for choice in choices:
        label = f"<Decode>{element('TranslatedText', choice.label)}</Decode>"
        yield f"{tag('CodeListItem', {'CodedValue': choice.code})}{label}</CodeListItem>"
    yield "</CodeList>"
