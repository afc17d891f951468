"""Names of tables and columns that are ours, not the study's."""

RECORDS = "records"
"""Name of the table that keeps the flat export as it came."""

REJECTED_VALUES = "rejected_values"
"""Name of the table that lists what fits no typed table."""

MISSING_REASONS = "missing_reasons"
"""Name of the table that says why blanks are blank, where it was asked for."""

QUALITY_FINDINGS = "quality_findings"
"""Name of the table that lists what the data-quality rules found."""

STUDY_TABLE_NAMES = frozenset(
    {
        "arms",
        "attachments",
        "audit_log",
        "data_access_groups",
        "events",
        "form_event_mappings",
        "instruments",
        "metadata",
        MISSING_REASONS,
        "project_info",
        QUALITY_FINDINGS,
        "record_changes",
        RECORDS,
        REJECTED_VALUES,
        "repeating_instruments_events",
        "reports",
        "survey_participants",
        "user_form_rights",
        "user_roles",
        "users",
    }
)
"""Names of the tables that belong to the study as a whole."""

NOT_COMPLETED = "[not completed]"
"""What REDCap exports as the timestamp of a survey that was begun and not finished."""


def table_name(instrument: str) -> str:
    """Name of an instrument's table: its own, unless a table of the study has that name."""
    return f"{instrument}_instrument" if instrument in STUDY_TABLE_NAMES else instrument


def is_instrument_table(name: str) -> bool:
    """Whether a published table is that of an instrument.

    A saved report's is `report-<number>`; no instrument's name has a hyphen.
    """
    return name not in STUDY_TABLE_NAMES and "-" not in name


def companion_name(column: str) -> str:
    """Name of the column that holds why a value of another column is missing.

    No field can have it: names of fields hold no two underscores in a row.
    """
    return f"{column}__missing"


def label_name(column: str) -> str:
    """Name of the column that shows another column's codes as labels.

    No field can have it, for the same reason.
    """
    return f"{column}__label"
