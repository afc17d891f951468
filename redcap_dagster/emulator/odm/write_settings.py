"""Writes a project's settings, what repeats, surveys and reports into a project XML."""

from collections.abc import Iterator, Sequence

from redcap_dagster.emulator.design import Design, Repeat
from redcap_dagster.emulator.odm.markup import element, tag
from redcap_dagster.emulator.odm.reports import report_attributes

_CLASSIC_EVENT = "event_1_arm_1"


def iter_settings(design: Design) -> Iterator[str]:
    """Yield the lines of `GlobalVariables` before groups and roles."""
    settings = design.settings
    title = settings.title
    described = f'This file contains the metadata, events, and data for REDCap project "{title}".'
    texts: dict[str, str | int] = {
        "StudyName": title,
        "StudyDescription": described,
        "ProtocolName": title,
        "redcap:RecordAutonumberingEnabled": settings.record_autonumbering_enabled,
        "redcap:CustomRecordLabel": settings.custom_record_label,
        "redcap:SecondaryUniqueField": settings.secondary_unique_field,
        "redcap:SchedulingEnabled": settings.scheduling_enabled,
        "redcap:SurveysEnabled": settings.surveys_enabled,
        "redcap:SurveyInvitationEmailField": settings.survey_email_field,
        "redcap:RandomizationEnabled": settings.randomization_enabled,
        "redcap:DisplayTodayNowButton": settings.display_today_now_button,
        "redcap:Purpose": settings.purpose,
        "redcap:PurposeOther": settings.purpose_other,
        "redcap:ProjectNotes": settings.project_notes,
        "redcap:MissingDataCodes": "\n".join(
            f"{code.code}, {code.label}" for code in design.missing_codes
        ),
    }
    for name, text in texts.items():
        yield element(name, text)
    yield from _iter_repeats(design)
    yield from _iter_surveys(design)
    if design.reports:
        yield "<redcap:ReportsGroup>"
        for order, report in enumerate(design.reports, start=1):
            yield tag("redcap:Reports", report_attributes(report, order), closed=True)
        yield "</redcap:ReportsGroup>"


def _iter_repeats(design: Design) -> Iterator[str]:
    if not design.repeats:
        return
    instruments = [repeat for repeat in design.repeats if repeat.form]
    yield "<redcap:RepeatingInstrumentsAndEvents>"
    for repeat in design.repeats:
        if not repeat.form:
            yield tag(
                "redcap:RepeatingEvent", {"redcap:UniqueEventName": repeat.event}, closed=True
            )
    for event in dict.fromkeys(repeat.event for repeat in instruments):
        yield "<redcap:RepeatingInstruments>"
        yield from _iter_instruments([repeat for repeat in instruments if repeat.event == event])
        yield "</redcap:RepeatingInstruments>"
    yield "</redcap:RepeatingInstrumentsAndEvents>"


def _iter_instruments(repeats: Sequence[Repeat]) -> Iterator[str]:
    for repeat in repeats:
        attributes = {
            "redcap:UniqueEventName": repeat.event or _CLASSIC_EVENT,
            "redcap:RepeatInstrument": repeat.form,
            "redcap:CustomLabel": repeat.label,
        }
        yield tag("redcap:RepeatingInstrument", attributes, closed=True)


def _iter_surveys(design: Design) -> Iterator[str]:
    if not design.survey_forms:
        return
    settings = {survey.form: survey for survey in design.surveys}
    yield "<redcap:SurveysGroup>"
    for form in design.survey_forms:
        survey = settings.get(form)
        attributes = {
            "form_name": form,
            "title": survey.title if survey else "",
            "survey_enabled": 1,
            "save_and_return": int(survey.save_and_return) if survey else 0,
        }
        yield tag("redcap:Surveys", attributes, closed=True)
    yield "</redcap:SurveysGroup>"
