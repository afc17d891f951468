"""Forms, fields and choices in the file: `FormDef`, `ItemGroupDef`, `ItemDef`, `CodeList`."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from example_pipeline.study.design import MISSING_DATA_CODES, SURVEYS
from example_pipeline.study.dictionary import Field, Form, checkbox_column

STATUS_CHOICES = (("0", "Incomplete"), ("1", "Unverified"), ("2", "Complete"))
TICK_CHOICES = (("1", "Checked"), ("0", "Unchecked"))
FIELD_TYPES = {"dropdown": "select", "notes": "textarea"}
VALIDATIONS = {"integer": "int", "number": "float"}


def escape(text: str) -> str:
    """Text for an attribute or element: REDCap escapes both kinds of quotes."""
    return (
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("'", "&#039;")
    )


def columns_of(field: Field) -> tuple[str, ...]:
    """Export columns of a field; a checkbox has one for each choice and missing data code."""
    if field.kind != "checkbox":
        return (field.name,)
    codes = [code for code, _ in (*field.choices, *MISSING_DATA_CODES)]
    return tuple(checkbox_column(field.name, code) for code in codes)


def column_groups(form: Form) -> dict[str, list[str]]:
    """OID of every item group of a form → its columns: one group under each section header.

    A header holds the field it stands on; the fields below it go back to the form's own group,
    which starts anew. The form status is the last group.
    """
    groups: dict[str, list[str]] = {}
    sections = groupby(form.fields, key=lambda field: field.section or form.label)
    for is_first, (_, members) in zip([True, *[False] * len(form.fields)], sections, strict=False):
        columns = [column for field in members for column in columns_of(field)]
        oid = columns[0]
        if is_first and form.name in SURVEYS:
            oid = f"{form.name}_timestamp"
            columns.insert(0, oid)
        if columns[0] == "participant_id":
            columns.insert(1, "redcap_data_access_group")
        groups[f"{form.name}.{oid}"] = columns
    groups[f"{form.name}.{form.name}_complete"] = [f"{form.name}_complete"]
    return groups


def iter_forms(forms: Sequence[Form]) -> Iterator[str]:
    """The lines of every form, field and list of choices."""
    for form in forms:
        yield from _form_def(form)
    for form in forms:
        yield from _item_group_defs(form)
    for form in forms:
        yield from _item_defs(form)
    for form in forms:
        yield from _code_lists(form)


def _form_def(form: Form) -> Iterator[str]:
    yield (
        f'\t<FormDef OID="Form.{form.name}" Name="{form.label}" Repeating="No"'
        f' redcap:FormName="{form.name}">'
    )
    for oid in column_groups(form):
        yield f'\t\t<ItemGroupRef ItemGroupOID="{oid}" Mandatory="No"/>'
    yield "\t</FormDef>"


def _item_group_defs(form: Form) -> Iterator[str]:
    owners = {column: field for field in form.fields for column in columns_of(field)}
    for oid, columns in column_groups(form).items():
        named_by = next((owners[column] for column in columns if column in owners), None)
        name = (named_by.section or form.label) if named_by else "Form Status"
        yield f'\t<ItemGroupDef OID="{oid}" Name="{escape(name)}" Repeating="No">'
        for column in columns:
            owner = owners.get(column)
            mandatory = "Yes" if owner and owner.is_required else "No"
            variable = owner.name if owner else column
            yield (
                f'\t\t<ItemRef ItemOID="{column}" Mandatory="{mandatory}"'
                f' redcap:Variable="{variable}"/>'
            )
        yield "\t</ItemGroupDef>"


def _item_defs(form: Form) -> Iterator[str]:
    if form.name in SURVEYS:
        yield from _system_item(f"{form.name}_timestamp", "datetime", "Survey Timestamp")
    for field in form.fields:
        for column in columns_of(field):
            yield from _item_def(field, column)
        if field.name == "participant_id":
            yield from _system_item("redcap_data_access_group", "text", "Data Access Group")
    status = f"{form.name}_complete"
    yield (
        f'\t<ItemDef OID="{status}" Name="{status}" DataType="text" Length="1"'
        f' redcap:Variable="{status}" redcap:FieldType="select"'
        ' redcap:SectionHeader="Form Status">'
    )
    yield "\t\t<Question><TranslatedText>Complete?</TranslatedText></Question>"
    yield f'\t\t<CodeListRef CodeListOID="{status}.choices"/>'
    yield "\t</ItemDef>"


def _system_item(column: str, data_type: str, label: str) -> Iterator[str]:
    yield (
        f'\t<ItemDef OID="{column}" Name="{column}" DataType="{data_type}" Length="999"'
        f' redcap:Variable="{column}">'
    )
    yield f"\t\t<Question><TranslatedText>{label}</TranslatedText></Question>"
    yield "\t</ItemDef>"


def _item_def(field: Field, column: str) -> Iterator[str]:
    attributes = {
        "OID": column,
        "Name": column,
        "DataType": _data_type(field),
        "Length": str(_length(field)),
        "SignificantDigits": "1" if field.validation == "number" and field.kind == "text" else "",
        "redcap:Variable": field.name,
        "redcap:FieldType": FIELD_TYPES.get(field.kind, field.kind),
        "redcap:TextValidationType": (
            VALIDATIONS.get(field.validation, field.validation)
            if field.kind == "text"
            else field.validation
        ),
        "redcap:Calculation": field.definition if field.kind == "calc" else "",
        "redcap:SliderLabels": field.definition if field.kind == "slider" else "",
        "redcap:SectionHeader": field.section,
        "redcap:FieldNote": field.note,
        "redcap:CustomAlignment": field.alignment,
        "redcap:Identifier": "y" if field.is_identifier else "",
        "redcap:BranchingLogic": field.branching,
        "redcap:RequiredField": "y" if field.is_required else "",
        "redcap:MatrixGroupName": field.matrix,
        "redcap:FieldAnnotation": field.annotation,
    }
    yield f"\t<ItemDef{_attributes(attributes)}>"
    yield f"\t\t<Question><TranslatedText>{escape(field.label)}</TranslatedText></Question>"
    if field.choices:
        yield f'\t\t<CodeListRef CodeListOID="{column}.choices"/>'
    for comparator, bound in (("GE", field.minimum), ("LE", field.maximum)):
        if bound:
            yield from _range_check(field, comparator, bound)
    yield "\t</ItemDef>"


def _attributes(attributes: Mapping[str, str]) -> str:
    return "".join(f' {name}="{escape(value)}"' for name, value in attributes.items() if value)


def _data_type(field: Field) -> str:
    by_kind = {"calc": "float", "slider": "integer", "checkbox": "boolean", "yesno": "boolean"}
    if field.kind != "text":
        return "boolean" if field.kind == "truefalse" else by_kind.get(field.kind, "text")
    if field.validation.startswith("datetime_seconds_"):
        return "datetime"
    if field.validation.startswith("datetime_"):
        return "partialDatetime"
    if field.validation.startswith("date_"):
        return "date"
    if field.validation.endswith("_comma_decimal"):
        return "text"
    if field.validation.startswith("number"):
        return "float"
    return {"integer": "integer", "time": "partialTime"}.get(field.validation, "text")


def _length(field: Field) -> int:
    if field.kind in {"checkbox", "yesno", "truefalse"}:
        return 1
    return max((len(code) for code, _ in field.choices), default=999)


def _range_check(field: Field, comparator: str, bound: str) -> Iterator[str]:
    low, high = field.minimum or "no limit", field.maximum or "no limit"
    yield f'\t\t<RangeCheck Comparator="{comparator}" SoftHard="Soft">'
    yield f"\t\t\t<CheckValue>{escape(bound)}</CheckValue>"
    yield (
        "\t\t\t<ErrorMessage><TranslatedText>The value you provided is outside the suggested range"
        f" ({escape(low)} - {escape(high)}). This value is admissible, but you may wish to double"
        " check it.</TranslatedText></ErrorMessage>"
    )
    yield "\t\t</RangeCheck>"


def _code_lists(form: Form) -> Iterator[str]:
    for field in form.fields:
        for column in columns_of(field) if field.choices else ():
            is_checkbox = field.kind == "checkbox"
            yield from _code_list(
                column, field, TICK_CHOICES if is_checkbox else field.choices, is_checkbox
            )
    status = f"{form.name}_complete"
    yield (
        f'\t<CodeList OID="{status}.choices" Name="{status}" DataType="text"'
        f' redcap:Variable="{status}">'
    )
    yield from _code_list_items(STATUS_CHOICES)
    yield "\t</CodeList>"


def _code_list(
    column: str, field: Field, choices: Sequence[tuple[str, str]], is_checkbox: bool
) -> Iterator[str]:
    listed = "|".join(f"{code}, {label}" for code, label in field.choices)
    attributes = {
        "OID": f"{column}.choices",
        "Name": column,
        "DataType": _data_type(field),
        "redcap:Variable": field.name,
        "redcap:CheckboxChoices": listed if is_checkbox else "",
    }
    yield f"\t<CodeList{_attributes(attributes)}>"
    yield from _code_list_items(choices)
    yield "\t</CodeList>"


def _code_list_items(choices: Sequence[tuple[str, str]]) -> Iterator[str]:
    for code, label in choices:
        yield (
            f'\t\t<CodeListItem CodedValue="{escape(code)}"><Decode><TranslatedText>'
            f"{escape(label)}</TranslatedText></Decode></CodeListItem>"
        )
