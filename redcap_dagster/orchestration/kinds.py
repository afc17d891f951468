"""The kinds of tables a study has, and what each is for a person who reads Dagster's page."""

from typing import Literal, get_args

from redcap_dagster.extract import SmallTableKind

TableKind = Literal[
    "records",
    "instrument",
    "rejected_values",
    "missing_reasons",
    "quality_findings",
    SmallTableKind,
    "report",
    "audit_log",
    "record_changes",
    "attachments",
]
"""What a table holds: the raw export, one instrument, or one of the study's small tables."""

RECORD_KINDS: frozenset[TableKind] = frozenset(
    {"records", "instrument", "rejected_values", "missing_reasons", "quality_findings"}
)
"""Kinds made from the record export. They have the partitions of the records."""

DAILY_KINDS: frozenset[TableKind] = frozenset({"audit_log", "record_changes"})
"""Kinds that are made day by day. Each has daily partitions of its own."""

ON_REQUEST: frozenset[TableKind] = DAILY_KINDS | {"survey_participants", "report", "attachments"}
"""Kinds that are no assets unless the user asks for them.

They cost REDCap more, need a fact, or name participants.
"""

DEFAULT_KINDS: tuple[TableKind, ...] = tuple(
    kind for kind in get_args(TableKind) if kind not in ON_REQUEST
)
"""Kinds that are assets unless the user says which shall be."""

DESCRIPTIONS: dict[TableKind, str] = {
    "records": "The whole export as REDCap sent it: every cell as text, one row a record, event "
    "and repeat instance.",
    "rejected_values": "Every value that does not fit the type its field has in the data "
    "dictionary, with its raw text; in the typed tables these cells are null.",
    "missing_reasons": "Why each blank is blank: coded, rejected, not asked, form not started, not "
    "designated for the event, or just blank.",
    "quality_findings": "What the data-quality rules found: record, event, instance, field, rule "
    "and status of each discrepancy, without values. The list a data manager works through.",
    "metadata": "The study's data dictionary, one row a field.",
    "instruments": "Names and labels of the instruments, in dictionary order.",
    "arms": "Arms that have an event; no rows in a classic project.",
    "events": "Events in the project's order; no rows in a classic project.",
    "form_event_mappings": "Which instrument is used in which event; no rows in a classic project.",
    "repeating_instruments_events": "What repeats: an instrument, or an event as a whole (blank "
    "`form_name`). No rows where nothing does.",
    "project_info": "The project's settings, one row. Names the principal investigator.",
    "users": "Users of the project and their rights. Names persons; no data of participants.",
    "user_form_rights": "What each user may do with each instrument, one row for both.",
    "user_roles": "Roles of the project with their rights, and who has them.",
    "data_access_groups": "Data access groups of the project, and who is in them.",
    "survey_participants": "Who was invited to each survey in each event, and whether they "
    "answered. Holds names and addresses of participants; no links and no access codes.",
    "report": "A saved REDCap report with its own columns, order and filters, every cell as text.",
    "audit_log": "The project's log, oldest entry first, one partition for each day of the "
    "server's local time. Rows are only ever added. `details` holds values of participants.",
    "record_changes": "A feed: of each day of the server's local time the records that were "
    "changed on it, as REDCap sent them when the day was exported, and what happened to them.",
    "attachments": "Every file in a field: which record, event, instance and field it belongs to, "
    "and where its content lies. Only new and changed files are fetched.",
}
"""One or two sentences for each kind but `instrument`, whose tables have their own."""
