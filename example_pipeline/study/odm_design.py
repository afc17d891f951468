"""The design half of the project file: `Study`, with its settings, events and forms."""

from collections.abc import Iterator, Sequence

from example_pipeline.study.design import (
    ARMS,
    EVENTS,
    EXPORTED_AT,
    MISSING_DATA_CODES,
    REPEATING,
    ROLES,
    SITES,
    SURVEYS,
    TITLE,
    Arm,
    Event,
)
from example_pipeline.study.dictionary import Form
from example_pipeline.study.odm_fields import escape, iter_forms

STUDY_OID = "Project.ASPIREAsthmaCohortSynth"
METADATA_OID = f"Metadata.ASPIREAsthmaCohortSynth_{EXPORTED_AT:%Y-%m-%d_%H%M}"
PLAIN_SETTINGS = {
    "RecordAutonumberingEnabled": "0",
    "CustomRecordLabel": "",
    "SecondaryUniqueField": "",
    "SecondaryUniqueFieldDisplayValue": "1",
    "SecondaryUniqueFieldDisplayLabel": "1",
    "SchedulingEnabled": "0",
    "SurveysEnabled": "1",
    "SurveyInvitationEmailField": "email",
    "RandomizationEnabled": "0",
    "DisplayTodayNowButton": "1",
    "PreventBranchingEraseValues": "0",
    "RequireChangeReason": "0",
    "DataHistoryPopup": "1",
    "OrderRecordsByField": "",
    "taskCompleteStatus": "0",
    "MyCapEnabled": "0",
    "Purpose": "2",
    "PurposeOther": "",
    "ProjectNotes": "Synthetic. Made by example_pipeline.study.generate; nobody in it exists.",
    "MissingDataCodes": "\n".join(f"{code}, {label}" for code, label in MISSING_DATA_CODES),
    "ProtectedEmailMode": "0",
    "ProtectedEmailModeCustomText": "",
    "ProtectedEmailModeTrigger": "ALL",
    "ProtectedEmailModeLogo": "",
}


def iter_design(forms: Sequence[Form]) -> Iterator[str]:
    """The lines of the `Study` element."""
    yield f'<Study OID="{STUDY_OID}">'
    yield from _global_variables(forms)
    yield (
        f'<MetaDataVersion OID="{METADATA_OID}" Name="{escape(TITLE)}"'
        ' redcap:RecordIdField="participant_id">'
    )
    yield from _protocol()
    yield from iter_forms(forms)
    yield "</MetaDataVersion>"
    yield "</Study>"


def _global_variables(forms: Sequence[Form]) -> Iterator[str]:
    title = escape(TITLE)
    yield "<GlobalVariables>"
    yield f"\t<StudyName>{title}</StudyName>"
    yield (
        "\t<StudyDescription>This file contains the metadata, events, and data for REDCap project"
        f" &quot;{title}&quot;.</StudyDescription>"
    )
    yield f"\t<ProtocolName>{title}</ProtocolName>"
    for name, value in PLAIN_SETTINGS.items():
        yield f"\t<redcap:{name}>{escape(value)}</redcap:{name}>"
    yield "\t<redcap:RepeatingInstrumentsAndEvents>"
    for arm in ARMS:
        for event in EVENTS:
            yield from _repeats(event, arm)
    yield "\t</redcap:RepeatingInstrumentsAndEvents>"
    yield "\t<redcap:DataAccessGroupsGroup>"
    for site in SITES:
        yield f'\t\t<redcap:DataAccessGroups group_name="{escape(site.name)}"/>'
    yield "\t</redcap:DataAccessGroupsGroup>"
    yield "\t<redcap:SurveysGroup>"
    for form_name, survey_title in SURVEYS.items():
        yield (
            f'\t\t<redcap:Surveys form_name="{form_name}" title="{survey_title}" instructions=""'
            ' acknowledgement="" survey_enabled="1" save_and_return="0"'
            ' edit_completed_response="0"/>'
        )
    yield "\t</redcap:SurveysGroup>"
    yield "\t<redcap:UserRolesGroup>"
    for name, unique_name, logging in ROLES:
        rights = "".join(f"[{form.name},1]" for form in forms)
        yield (
            f'\t\t<redcap:UserRoles role_name="{name}" unique_role_name="{unique_name}"'
            f' lock_record="0" data_export_tool="" data_export_instruments="{rights}"'
            f' data_import_tool="0" data_logging="{logging}" file_repository="1" user_rights="0"'
            f' data_access_groups="{logging}" reports="1" design="0" data_entry="{rights}"'
            ' api_export="1" api_import="0" record_create="1" record_rename="0"'
            ' record_delete="0" participants="1"/>'
        )
    yield "\t</redcap:UserRolesGroup>"
    yield "</GlobalVariables>"


def _repeats(event: Event, arm: Arm) -> Iterator[str]:
    repeating = [form for form in event.forms if form in REPEATING]
    if repeating:
        yield "\t\t<redcap:RepeatingInstruments>"
        for form in repeating:
            yield (
                "\t\t\t<redcap:RepeatingInstrument"
                f' redcap:UniqueEventName="{event.unique_name(arm)}"'
                f' redcap:RepeatInstrument="{form}" redcap:CustomLabel="{REPEATING[form]}"/>'
            )
        yield "\t\t</redcap:RepeatingInstruments>"


def _protocol() -> Iterator[str]:
    visits = [(event, arm) for arm in ARMS for event in EVENTS]
    yield "\t<Protocol>"
    for order, (event, arm) in enumerate(visits, start=1):
        yield (
            f'\t\t<StudyEventRef StudyEventOID="Event.{event.unique_name(arm)}"'
            f' OrderNumber="{order}" Mandatory="No"/>'
        )
    yield "\t</Protocol>"
    for event, arm in visits:
        unique_name = event.unique_name(arm)
        yield (
            f'\t<StudyEventDef OID="Event.{unique_name}"'
            f' Name="{event.name} (Arm {arm.number}: {arm.name})" Type="Common" Repeating="No"'
            f' redcap:EventName="{event.name}" redcap:CustomEventLabel=""'
            f' redcap:UniqueEventName="{unique_name}" redcap:ArmNum="{arm.number}"'
            f' redcap:ArmName="{arm.name}" redcap:DayOffset="{event.day}"'
            f' redcap:OffsetMin="{event.window}" redcap:OffsetMax="{event.window}">'
        )
        for order, form in enumerate(event.forms, start=1):
            yield (
                f'\t\t<FormRef FormOID="Form.{form}" OrderNumber="{order}" Mandatory="No"'
                f' redcap:FormName="{form}"/>'
            )
        yield "\t</StudyEventDef>"
