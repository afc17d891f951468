"""The study's small tables: what their columns are, and how each is asked of REDCap.

Every cell is text, "" is blank, and columns are those that REDCap sends: the ones named here come
first and are there in every version, newer ones follow.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pyarrow as pa

from redcap_dagster.api import RedcapClient, columns
from redcap_dagster.errors import RequestRejectedError
from redcap_dagster.project import ProjectAnswers, RedcapProject
from redcap_dagster.tables import TableColumn, TableSpec

Rows = Sequence[Mapping[str, Any]]

DesignTableKind = Literal[
    "metadata",
    "instruments",
    "arms",
    "events",
    "form_event_mappings",
    "repeating_instruments_events",
    "project_info",
]
"""Tables of what the study's design was read from."""

DESIGN_TABLES: frozenset[DesignTableKind] = frozenset(get_args(DesignTableKind))

SmallTableKind = Literal[
    DesignTableKind,
    "users",
    "user_form_rights",
    "user_roles",
    "data_access_groups",
    "survey_participants",
]


@dataclass(frozen=True)
class SmallTable:
    """One small table that is the study's own.

    Attributes:
        kind: Its kind, which is its name.
        label: What a person calls it.
        columns: Columns that every REDCap version sends, in its order.
        key: Names of the columns that are unique together.
        read: Asks REDCap for the rows. A table that the project cannot have is asked for by no
            request.
    """

    kind: SmallTableKind
    label: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    read: Callable[[RedcapClient, RedcapProject], Rows]

    @property
    def spec(self) -> TableSpec:
        """The table's layout."""
        return text_spec(self.kind, self.label, self.columns, self.key)


def read_small_table(client: RedcapClient, kind: str, project: RedcapProject) -> pa.Table:
    """One of the study's small tables, every cell as text.

    Raises:
        ApiError: REDCap did not answer, or refused.
    """
    table = SMALL_TABLES[kind]
    return _as_table(table, table.read(client, project))


def design_tables(answers: ProjectAnswers) -> dict[str, pa.Table]:
    """The small tables that the study's design was read from, which take no request more."""
    rows: dict[SmallTableKind, Rows] = {
        "metadata": answers.metadata,
        "instruments": answers.instruments,
        "arms": answers.arms,
        "events": answers.events,
        "form_event_mappings": answers.form_event_mappings,
        "repeating_instruments_events": answers.repeating_instruments_events,
        "project_info": [answers.project_info],
    }
    return {kind: _as_table(SMALL_TABLES[kind], found) for kind, found in rows.items()}


def _as_table(table: SmallTable, rows: Rows) -> pa.Table:
    """The rows with the facts of the table, its key above all, for who reads the file."""
    facts = table.spec.arrow_schema.metadata
    return text_table(rows, table.columns).replace_schema_metadata(facts)


def as_text(value: object) -> str:
    """A value of a JSON answer as the text of a cell: "" for null, JSON for lists and objects."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def text_table(rows: Rows, columns: Sequence[str]) -> pa.Table:
    """Rows of an answer as a table of text: the columns given, then those that came beside."""
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    return pa.table(
        {name: pa.array([as_text(row.get(name)) for row in rows], pa.string()) for name in names}
    )


def text_spec(name: str, label: str, columns: Sequence[str], key: Sequence[str]) -> TableSpec:
    """The layout of a table that is all text."""
    return TableSpec(
        name=name,
        instrument=None,
        label=label,
        structure="flat",
        key_columns=tuple(key),
        columns=tuple(
            TableColumn(column, pa.string(), "text", nullable=column not in key)
            for column in columns
        ),
    )


def _read_events(client: RedcapClient, project: RedcapProject) -> Rows:
    return client.export_events() if project.info.is_longitudinal else []


def _read_arms(client: RedcapClient, project: RedcapProject) -> Rows:
    return client.export_arms() if project.info.is_longitudinal else []


def _read_mappings(client: RedcapClient, project: RedcapProject) -> Rows:
    return client.export_form_event_mappings() if project.info.is_longitudinal else []


def _read_repeats(client: RedcapClient, project: RedcapProject) -> Rows:
    return client.export_repeating_instruments_events() if project.info.has_repeating else []


def _read_form_rights(client: RedcapClient, project: RedcapProject) -> Rows:
    """A row for each user and instrument of the project, those without a right included."""
    return [
        {
            "username": user["username"],
            "form_name": form,
            "form_right": _rights(user.get("forms")).get(form),
            "export_right": _rights(user.get("forms_export")).get(form),
        }
        for user in client.export_users()
        for form in project.instruments_by_name
    ]


def _rights(rights: object) -> Mapping[str, object]:
    """Rights by form. A user without any has an empty list, which is what PHP makes of it."""
    return rights if isinstance(rights, Mapping) else {}


def _read_roles(client: RedcapClient, _: RedcapProject) -> Rows:
    members = _members(client.export_user_role_mappings(), "unique_role_name")
    return [
        {**role, "usernames": members.get(str(role["unique_role_name"]), "[]")}
        for role in client.export_user_roles()
    ]


def _read_groups(client: RedcapClient, _: RedcapProject) -> Rows:
    groups = client.export_data_access_groups()
    if not groups:
        return []
    mappings = client.export_user_data_access_group_mappings()
    members = _members(mappings, "redcap_data_access_group")
    return [
        {**group, "usernames": members.get(str(group["unique_group_name"]), "[]")}
        for group in groups
    ]


def _read_survey_participants(client: RedcapClient, project: RedcapProject) -> Rows:
    """Rows of every survey and event, in the order of the dictionary and of the events.

    Links and access codes are left out: whoever has one can answer in the participant's place.
    """
    if not project.info.surveys_enabled:
        return []
    return [
        {
            "form_name": form,
            "unique_event_name": event,
            **{name: row[name] for name in row if name not in _OPENS_A_SURVEY},
        }
        for form in project.instruments_by_name
        for event, rows in _participants_by_event(client, project, form).items()
        for row in rows
    ]


def _participants_by_event(
    client: RedcapClient, project: RedcapProject, form: str
) -> dict[str | None, Rows]:
    """Participants of one instrument by event, None in a classic project; {} if it is no survey.

    No method lists the surveys: REDCap says so of an instrument that is none when it is asked.
    """
    events = project.events_of(form) if project.info.is_longitudinal else (None,)
    try:
        return {event: client.export_survey_participants(form, event) for event in events}
    except RequestRejectedError as error:
        if not error.server_message.rstrip(".").endswith(_NO_SURVEY):
            raise
        return {}


def _members(mappings: Rows, column: str) -> dict[str, str]:
    """Users of each role or group as a JSON list, in the order of the users."""
    users: dict[str, list[str]] = {}
    for row in mappings:
        users.setdefault(str(row[column]), []).append(row["username"])
    return {name: json.dumps(usernames, ensure_ascii=False) for name, usernames in users.items()}


_NO_SURVEY = "has not been enabled as a survey"
_OPENS_A_SURVEY = ("survey_access_code", "survey_link")
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
_PROJECT_COLUMNS = (
    "project_id",
    "project_title",
    "creation_time",
    "production_time",
    "in_production",
    "project_language",
    "purpose",
    "purpose_other",
    "project_notes",
    "custom_record_label",
    "secondary_unique_field",
    "is_longitudinal",
    "has_repeating_instruments_or_events",
    "surveys_enabled",
)

SMALL_TABLES: dict[str, SmallTable] = {
    table.kind: table
    for table in (
        SmallTable(
            "metadata",
            "Data dictionary",
            _METADATA_COLUMNS,
            ("field_name",),
            lambda client, _: client.export_metadata(),
        ),
        SmallTable(
            "instruments",
            "Instruments",
            ("instrument_name", "instrument_label"),
            ("instrument_name",),
            lambda client, _: client.export_instruments(),
        ),
        SmallTable("arms", "Arms", columns.ARMS, ("arm_num",), _read_arms),
        SmallTable(
            "events",
            "Events",
            columns.EVENTS,
            ("unique_event_name",),
            _read_events,
        ),
        SmallTable(
            "form_event_mappings",
            "Form-event mappings",
            columns.FORM_EVENT_MAPPINGS,
            ("unique_event_name", "form"),
            _read_mappings,
        ),
        SmallTable(
            "repeating_instruments_events",
            "Repeating instruments and events",
            columns.REPEATING_INSTRUMENTS_EVENTS,
            ("event_name", "form_name"),
            _read_repeats,
        ),
        SmallTable(
            "project_info",
            "Project settings",
            _PROJECT_COLUMNS,
            ("project_id",),
            lambda client, _: [client.export_project_info()],
        ),
        SmallTable(
            "users",
            "Users and rights",
            ("username", "email", "firstname", "lastname", "expiration", "data_access_group"),
            ("username",),
            lambda client, _: client.export_users(),
        ),
        SmallTable(
            "user_form_rights",
            "Rights of users by instrument",
            ("username", "form_name", "form_right", "export_right"),
            ("username", "form_name"),
            _read_form_rights,
        ),
        SmallTable(
            "user_roles",
            "User roles",
            ("unique_role_name", "role_label", "usernames"),
            ("unique_role_name",),
            _read_roles,
        ),
        SmallTable(
            "data_access_groups",
            "Data access groups",
            (*columns.DATA_ACCESS_GROUPS, "usernames"),
            ("unique_group_name",),
            _read_groups,
        ),
        SmallTable(
            "survey_participants",
            "Survey participants",
            (
                "form_name",
                "unique_event_name",
                *(name for name in columns.SURVEY_PARTICIPANTS if name not in _OPENS_A_SURVEY),
            ),
            (),  # an anonymous participant has neither address nor record
            _read_survey_participants,
        ),
    )
}
"""Every small table that requests of its own answer, by its kind, in asset order."""
