"""Writes the `Study` part of a project XML: settings, events, instruments, fields, choices."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.names import status_column, timestamp_column
from redcap_dagster.emulator.odm.markup import tag
from redcap_dagster.emulator.odm.roles import role_attributes
from redcap_dagster.emulator.odm.write_fields import (
    field_items,
    iter_field_choices,
    iter_field_item,
    iter_plain_item,
    iter_status_choices,
    iter_status_item,
)
from redcap_dagster.emulator.odm.write_settings import iter_settings

GROUP_ITEM = "redcap_data_access_group"
IDENTIFIER_ITEM = "redcap_survey_identifier"


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
        yield from iter_field_choices(entry)
    for form in design.forms:
        yield from iter_status_choices(form.name)
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
        yield from iter_plain_item(timestamp_column(form), "Survey Timestamp", "datetime")
    for entry in design.fields_by_form[form]:
        for item in field_items(entry):
            yield from iter_field_item(entry, item)
        if entry.name == design.record_id_field:
            if groups and design.groups:
                yield from iter_plain_item(GROUP_ITEM, "Data Access Group", "text")
            if surveys and design.survey_forms:
                yield from iter_plain_item(IDENTIFIER_ITEM, "Survey Identifier", "text")
    yield from iter_status_item(form)
