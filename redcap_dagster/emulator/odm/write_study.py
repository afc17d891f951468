"""Writes the `Study` part of a project XML: settings, events, instruments, fields, choices."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from redcap_dagster.emulator.design import STATUS_CHOICES, Choice, Design, Field
from redcap_dagster.emulator.names import checkbox_column, status_column, timestamp_column
from redcap_dagster.emulator.odm.markup import element, escaped_text, tag
from redcap_dagster.emulator.odm.roles import role_attributes
from redcap_dagster.emulator.odm.write_settings import iter_settings

GROUP_ITEM = "redcap_data_access_group"
IDENTIFIER_ITEM = "redcap_survey_identifier"
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


@dataclass(frozen=True)
class ItemGroup:
    """Fields that stand together in an instrument: a section header begins a group of one.

    Attributes:
        items: Item ids of the group.
        title: The section header, or the instrument's name.
    """

    items: tuple[str, ...]
    title: str

    @property
    def first(self) -> str:
        """The item that the group is called by."""
        return self.items[0]


def study_slug(title: str) -> str:
    """Return a project's title as ids hold it: letters and digits only."""
    return re.sub(r"[^A-Za-z0-9]", "", title)


def iter_study(design: Design, written_at: str, *, groups: bool, surveys: bool) -> Iterator[str]:
    """Yield the lines of the `Study` element.

    Args:
        design: The design.
        written_at: Server time, `YYYY-MM-DD HH:MM:SS`.
        groups: Whether the data has data access groups.
        surveys: Whether the data has survey identifiers and time stamps.
    """
    slug = study_slug(design.settings.title)
    yield tag("Study", {"OID": f"Project.{slug}"})
    yield "<GlobalVariables>"
    yield from iter_settings(design)
    yield from _iter_groups_and_roles(design)
    yield "</GlobalVariables>"
    version = {
        "OID": metadata_id(design, written_at),
        "Name": design.settings.title,
        "redcap:RecordIdField": design.record_id_field,
    }
    yield tag("MetaDataVersion", version)
    yield from _iter_events(design)
    by_form = {
        form.name: item_groups(design, form.name, groups=groups, surveys=surveys)
        for form in design.forms
    }
    yield from _iter_forms(design, by_form)
    for form in design.forms:
        yield from _iter_items(design, form.name, groups=groups, surveys=surveys)
    for entry in design.fields:
        yield from _iter_choices(entry)
    for form in design.forms:
        status = status_column(form.name)
        yield from _choice_list(status, status, STATUS_CHOICES)
    yield "</MetaDataVersion>"
    yield "</Study>"


def metadata_id(design: Design, written_at: str) -> str:
    """Return the id of the design as of a moment."""
    day, _, clock = written_at.partition(" ")
    return f"Metadata.{study_slug(design.settings.title)}_{day}_{clock[:5].replace(':', '')}"


def item_groups(design: Design, form: str, *, groups: bool, surveys: bool) -> tuple[ItemGroup, ...]:
    """Return the item groups of an instrument, its form status last."""
    found: list[ItemGroup] = []
    joins = False
    if surveys and form in design.survey_forms:
        found.append(ItemGroup((timestamp_column(form),), form))
    for entry in design.fields_by_form[form]:
        items = field_items(entry)
        if entry.name == design.record_id_field:
            items += (GROUP_ITEM,) * bool(groups and design.groups)
            items += (IDENTIFIER_ITEM,) * bool(surveys and design.survey_forms)
        if not items:
            continue
        if entry.section_header:
            found.append(ItemGroup(items, entry.section_header))
            joins = False
        elif joins:
            found[-1] = ItemGroup(found[-1].items + items, form)
        else:
            found.append(ItemGroup(items, form))
            joins = True
    found.append(ItemGroup((status_column(form),), "Form Status"))
    return tuple(found)


def field_items(entry: Field) -> tuple[str, ...]:
    """Return the item ids of a field: one a choice for a checkbox."""
    if entry.field_type == "checkbox":
        return tuple(checkbox_column(entry.name, choice.code) for choice in entry.choices)
    return (entry.name,)


def _iter_groups_and_roles(design: Design) -> Iterator[str]:
    if design.groups:
        yield "<redcap:DataAccessGroupsGroup>"
        for group in design.groups:
            named = {"group_name": group.name, "unique_group_name": group.unique_name}
            yield tag("redcap:DataAccessGroups", named, closed=True)
        yield "</redcap:DataAccessGroupsGroup>"
    if design.roles:
        yield "<redcap:UserRolesGroup>"
        for role in design.roles:
            yield tag("redcap:UserRoles", role_attributes(role), closed=True)
        yield "</redcap:UserRolesGroup>"


def _iter_events(design: Design) -> Iterator[str]:
    arms = {arm.number: arm.name for arm in design.arms}
    if design.events:
        yield "<Protocol>"
        for number, event in enumerate(design.events, start=1):
            reference = {"StudyEventOID": f"Event.{event.unique_name}", "OrderNumber": number}
            yield tag("StudyEventRef", {**reference, "Mandatory": "No"}, closed=True)
        yield "</Protocol>"
    for event in design.events:
        arm = arms[event.arm_number]
        attributes = {
            "OID": f"Event.{event.unique_name}",
            "Name": f"{event.name} (Arm {event.arm_number}: {arm})",
            "Type": "Common",
            "Repeating": "Yes" if design.repeats_as_event(event.unique_name) else "No",
            "redcap:EventName": event.name,
            "redcap:CustomEventLabel": event.custom_label,
            "redcap:UniqueEventName": event.unique_name,
            "redcap:ArmNum": event.arm_number,
            "redcap:ArmName": arm,
            "redcap:DayOffset": event.day_offset,
            "redcap:OffsetMin": event.offset_min,
            "redcap:OffsetMax": event.offset_max,
        }
        yield tag("StudyEventDef", attributes)
        for number, form in enumerate(event.forms, start=1):
            reference = {"FormOID": f"Form.{form}", "OrderNumber": number, "Mandatory": "No"}
            yield tag("FormRef", {**reference, "redcap:FormName": form}, closed=True)
        yield "</StudyEventDef>"


def _iter_forms(design: Design, by_form: dict[str, tuple[ItemGroup, ...]]) -> Iterator[str]:
    for form in design.forms:
        named = {"OID": f"Form.{form.name}", "Name": form.label, "Repeating": "No"}
        yield tag("FormDef", {**named, "redcap:FormName": form.name})
        for group in by_form[form.name]:
            reference = {"ItemGroupOID": f"{form.name}.{group.first}", "Mandatory": "No"}
            yield tag("ItemGroupRef", reference, closed=True)
        yield "</FormDef>"
    for form in design.forms:
        for group in by_form[form.name]:
            oid = f"{form.name}.{group.first}"
            yield tag("ItemGroupDef", {"OID": oid, "Name": group.title, "Repeating": "No"})
            for item in group.items:
                variable = item.partition("___")[0]
                reference = {"ItemOID": item, "Mandatory": "No", "redcap:Variable": variable}
                yield tag("ItemRef", reference, closed=True)
            yield "</ItemGroupDef>"


def _iter_items(design: Design, form: str, *, groups: bool, surveys: bool) -> Iterator[str]:
    if surveys and form in design.survey_forms:
        yield from _plain_item(timestamp_column(form), "Survey Timestamp", "datetime")
    for entry in design.fields_by_form[form]:
        for item in field_items(entry):
            yield from _field_item(entry, item)
        if entry.name == design.record_id_field:
            if groups and design.groups:
                yield from _plain_item(GROUP_ITEM, "Data Access Group", "text")
            if surveys and design.survey_forms:
                yield from _plain_item(IDENTIFIER_ITEM, "Survey Identifier", "text")
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


def _plain_item(name: str, label: str, data_type: str) -> Iterator[str]:
    yield tag("ItemDef", _item_names(name, name, data_type, 999))
    yield from _question(label)
    yield "</ItemDef>"


def _item_names(item: str, variable: str, data_type: str, length: int) -> dict[str, str | int]:
    return {
        "OID": item,
        "Name": item,
        "DataType": data_type,
        "Length": length,
        "redcap:Variable": variable,
    }


def _field_item(entry: Field, item: str) -> Iterator[str]:
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


def _iter_choices(entry: Field) -> Iterator[str]:
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
