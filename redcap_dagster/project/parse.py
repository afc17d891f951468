"""From API answers to a `RedcapProject`, with all contradictions reported together."""

from redcap_dagster.project.answers import AnswerRow, ProjectAnswers, cell_flag, cell_name
from redcap_dagster.project.choices import parse_missing_data_codes
from redcap_dagster.project.contradictions import Contradiction, raise_contradictions
from redcap_dagster.project.model import ProjectInfo, RedcapProject
from redcap_dagster.project.parse_dictionary import parse_instruments
from redcap_dagster.project.parse_events import parse_schedule


def parse_project(answers: ProjectAnswers) -> RedcapProject:
    """Parse what the API answered about a project into its design.

    Instruments stand in the project's order with their fields in dictionary order. Choices of
    yesno and truefalse fields are filled in. Text validation types are not judged: a server may
    have its own.

    Raises:
        DesignError: The answers contradict each other or themselves; the message lists how.
    """
    found: list[Contradiction] = []
    instruments = parse_instruments(answers.metadata, answers.instruments, found)
    schedule = parse_schedule(answers, {item.name for item in instruments}, found)
    info = _parse_info(answers.project_info, found, has_repeating=bool(schedule.repeats))
    raise_contradictions(found)
    return RedcapProject(
        info=info,
        redcap_version=answers.redcap_version,
        instruments=instruments,
        arms=schedule.arms,
        events=schedule.events,
        form_events=schedule.form_events,
        repeats=schedule.repeats,
    )


def _parse_info(row: AnswerRow, found: list[Contradiction], *, has_repeating: bool) -> ProjectInfo:
    project_id = cell_name(row, "project_id")
    if not (project_id.isascii() and project_id.isdigit()):
        found.append(Contradiction("the project settings name no project id"))
        project_id = "0"
    return ProjectInfo(
        project_id=int(project_id),
        title=cell_name(row, "project_title"),
        is_longitudinal=cell_flag(row, "is_longitudinal"),
        has_repeating=has_repeating,
        surveys_enabled=cell_flag(row, "surveys_enabled"),
        in_production=cell_flag(row, "in_production"),
        secondary_unique_field=cell_name(row, "secondary_unique_field"),
        missing_data_codes=parse_missing_data_codes(cell_name(row, "missing_data_codes")),
    )
