"""Turns the raw parts of a project XML into a design, in the words of the data dictionary."""

from collections.abc import Iterator, Mapping

from redcap_dagster.emulator.design import (
    Arm,
    Choice,
    Design,
    Event,
    Field,
    Form,
    Group,
    Repeat,
    Settings,
    Survey,
)
from redcap_dagster.emulator.errors import ProjectFileError
from redcap_dagster.emulator.names import status_column, timestamp_column, unique_group_name
from redcap_dagster.emulator.odm.definition import RawEvent, RawItem, RawStudy
from redcap_dagster.emulator.odm.reports import build_reports
from redcap_dagster.emulator.odm.roles import build_roles

_FIELD_TYPES = {"select": "dropdown", "textarea": "notes"}
_VALIDATIONS = {
    "int": "integer",
    "float": "number",
    "date": "date_ymd",
    "datetime": "datetime_ymd",
    "datetime_seconds": "datetime_seconds_ymd",
}


def build_design(
    raw: RawStudy, name: str, *, first_event_id: int, first_group_id: int, first_report_id: int
) -> Design:
    """Build the design of a study.

    Args:
        raw: What stands in the file.
        name: What messages call the file.
        first_event_id: Number of the first event; the file holds none.
        first_group_id: Number of the first data access group; the file holds none.
        first_report_id: Number of the first report; the file holds none.

    Raises:
        ProjectFileError: The definition names something it does not define, or has no field.
    """
    try:
        forms = tuple(_form(form.attributes) for form in raw.forms)
        fields = tuple(_iter_fields(raw))
        events = tuple(
            _event(event, forms, first_event_id + position)
            for position, event in enumerate(raw.events)
        )
    except KeyError as error:
        raise ProjectFileError(
            f"{name} is not a whole REDCap project XML: {error} is named, but not defined."
        ) from error
    if not fields:
        raise ProjectFileError(f"{name} defines no field: it is no REDCap project XML.")
    return Design(
        settings=_settings(raw),
        forms=forms,
        fields=fields,
        events=events,
        arms=_arms(raw.events),
        repeats=tuple(_iter_repeats(raw, longitudinal=bool(events))),
        groups=_groups(raw, first_group_id),
        roles=build_roles(raw.listed["redcap:UserRoles"]),
        survey_forms=_survey_forms(raw, forms),
        surveys=tuple(_survey(attributes) for attributes in raw.listed["redcap:Surveys"]),
        reports=build_reports(raw.listed["redcap:Reports"], first_report_id),
        missing_codes=_missing_codes(raw.texts.get("redcap:MissingDataCodes", "")),
    )


def _form(attributes: Mapping[str, str]) -> Form:
    name = attributes.get("redcap:FormName") or attributes["OID"].removeprefix("Form.")
    return Form(name, attributes["Name"])


def _iter_fields(raw: RawStudy) -> Iterator[Field]:
    seen: set[str] = set()
    for form in raw.forms:
        form_name = _form(form.attributes).name
        for group_id in form.group_ids:
            for item_id in raw.groups[group_id]:
                item = raw.items[item_id]
                name = item.attributes.get("redcap:Variable", item_id)
                # Time stamps, the access group and the survey identifier have no field type.
                is_field = "redcap:FieldType" in item.attributes
                if is_field and name not in seen and name != status_column(form_name):
                    seen.add(name)
                    yield _field(item, name, form_name, raw)


def _field(item: RawItem, name: str, form_name: str, raw: RawStudy) -> Field:
    attributes = item.attributes
    field_type = attributes["redcap:FieldType"]
    field_type = _FIELD_TYPES.get(field_type, field_type)
    validation = attributes.get("redcap:TextValidationType", "")
    return Field(
        name=name,
        form=form_name,
        field_type=field_type,
        label=item.question,
        choices=_choices(item, field_type, raw),
        formula=_formula(attributes),
        section_header=attributes.get("redcap:SectionHeader", ""),
        note=attributes.get("redcap:FieldNote", ""),
        validation=_VALIDATIONS.get(validation, validation),
        minimum=_bound(item, "GE", validation),
        maximum=_bound(item, "LE", validation),
        identifier=attributes.get("redcap:Identifier") == "y",
        branching_logic=attributes.get("redcap:BranchingLogic", ""),
        required=attributes.get("redcap:RequiredField") == "y",
        custom_alignment=attributes.get("redcap:CustomAlignment", ""),
        question_number=attributes.get("redcap:QuestionNumber", ""),
        matrix_group_name=attributes.get("redcap:MatrixGroupName", ""),
        matrix_ranking=attributes.get("redcap:MatrixRanking", "") in {"y", "1"},
        annotation=attributes.get("redcap:FieldAnnotation", ""),
    )


def _formula(attributes: Mapping[str, str]) -> str:
    for name in ("Calculation", "SliderLabels", "OntologySearch"):
        if formula := attributes.get(f"redcap:{name}", ""):
            return formula
    return ""


def _choices(item: RawItem, field_type: str, raw: RawStudy) -> tuple[Choice, ...]:
    if field_type not in {"radio", "dropdown", "checkbox", "sql"} or not item.choices_id:
        return ()
    listed = raw.choices[item.choices_id]
    if field_type == "checkbox":
        return parse_choices(listed.attributes.get("redcap:CheckboxChoices", ""))
    # A field whose choices were never written has one choice without code and label.
    return tuple(Choice(code, label) for code, label in listed.choices if code or label)


def parse_choices(text: str) -> tuple[Choice, ...]:
    """Parse `1, One | 2, Two`; where no part has a comma, a part is both code and label."""
    parts = [part.strip() for part in text.split("|") if part.strip()]
    if not any("," in part for part in parts):
        return tuple(Choice(part, part) for part in parts)
    pairs = (part.partition(",") for part in parts)
    return tuple(Choice(code.strip(), label.strip()) for code, _, label in pairs)


def _bound(item: RawItem, comparator: str, validation: str) -> str:
    bound = item.bounds.get(comparator, "")
    return bound.replace("T", " ") if validation.startswith("datetime") else bound


def _event(raw: RawEvent, forms: tuple[Form, ...], event_id: int) -> Event:
    attributes = raw.attributes
    designated = {form_id.removeprefix("Form.") for form_id in raw.form_ids}
    unknown = designated - {form.name for form in forms}
    if unknown:
        raise KeyError(min(unknown))
    return Event(
        unique_name=attributes["redcap:UniqueEventName"],
        name=attributes.get("redcap:EventName") or attributes["Name"],
        arm_number=int(attributes["redcap:ArmNum"]),
        event_id=event_id,
        forms=tuple(form.name for form in forms if form.name in designated),
        custom_label=attributes.get("redcap:CustomEventLabel", ""),
        day_offset=_whole(attributes.get("redcap:DayOffset", "")),
        offset_min=_whole(attributes.get("redcap:OffsetMin", "")),
        offset_max=_whole(attributes.get("redcap:OffsetMax", "")),
    )


def _whole(text: str) -> int:
    return int(float(text)) if text else 0


def _arms(events: list[RawEvent]) -> tuple[Arm, ...]:
    names = {
        int(event.attributes["redcap:ArmNum"]): event.attributes["redcap:ArmName"]
        for event in events
    }
    return tuple(Arm(number, names[number]) for number in sorted(names))


def _iter_repeats(raw: RawStudy, *, longitudinal: bool) -> Iterator[Repeat]:
    for instrument in raw.listed["redcap:RepeatingInstrument"]:
        event = instrument["redcap:UniqueEventName"] if longitudinal else ""
        form = instrument["redcap:RepeatInstrument"]
        yield Repeat(event, form, instrument.get("redcap:CustomLabel", ""))
    for repeating_event in raw.listed["redcap:RepeatingEvent"]:
        yield Repeat(repeating_event["redcap:UniqueEventName"], "")


def _groups(raw: RawStudy, first_group_id: int) -> tuple[Group, ...]:
    groups: list[Group] = []
    for position, attributes in enumerate(raw.listed["redcap:DataAccessGroups"]):
        label = attributes["group_name"]
        taken = {group.unique_name for group in groups}
        # REDCap leaves the unique name out; an emulator that renamed groups writes it.
        unique_name = attributes.get("unique_group_name") or unique_group_name(label, taken)
        groups.append(Group(label, unique_name, first_group_id + position))
    return tuple(groups)


def _survey(attributes: Mapping[str, str]) -> Survey:
    return Survey(
        form=attributes["form_name"],
        title=attributes.get("title", ""),
        save_and_return=attributes.get("save_and_return", "") == "1",
    )


def _survey_forms(raw: RawStudy, forms: tuple[Form, ...]) -> tuple[str, ...]:
    # Files written before surveys were listed show them by their time stamp columns alone.
    enabled = {
        survey["form_name"]
        for survey in raw.listed["redcap:Surveys"]
        if survey.get("survey_enabled", "1") == "1"
    }
    return tuple(
        form.name
        for form in forms
        if form.name in enabled or timestamp_column(form.name) in raw.items
    )


def _missing_codes(text: str) -> tuple[Choice, ...]:
    return parse_choices("|".join(text.splitlines()))


def _settings(raw: RawStudy) -> Settings:
    texts = raw.texts

    def flag(name: str, default: int = 0) -> int:
        return int(texts.get(f"redcap:{name}") or default)

    return Settings(
        title=texts.get("StudyName", raw.root.get("Description", "")),
        creation_time=raw.root.get("CreationDateTime", "").replace("T", " "),
        purpose=flag("Purpose"),
        purpose_other=texts.get("redcap:PurposeOther", ""),
        project_notes=texts.get("redcap:ProjectNotes", ""),
        custom_record_label=texts.get("redcap:CustomRecordLabel", ""),
        secondary_unique_field=texts.get("redcap:SecondaryUniqueField", ""),
        surveys_enabled=flag("SurveysEnabled"),
        scheduling_enabled=flag("SchedulingEnabled"),
        record_autonumbering_enabled=flag("RecordAutonumberingEnabled"),
        randomization_enabled=flag("RandomizationEnabled"),
        display_today_now_button=flag("DisplayTodayNowButton", 1),
        survey_email_field=texts.get("redcap:SurveyInvitationEmailField", ""),
    )
