"""A study's design: data dictionary, events, arms, what repeats. No network, no frames, no data.

`parse_project` makes a `RedcapProject` from API answers; `plan_export_columns`, `value_kind` and
`TEXT_VALIDATIONS` say what an export of it looks like.
"""

from redcap_dagster.project.answers import AnswerRow, ProjectAnswers
from redcap_dagster.project.columns import (
    ColumnKind,
    ExportColumn,
    checkbox_column_name,
    form_status_column_name,
    plan_export_columns,
)
from redcap_dagster.project.diff import DesignChange, check_same_project, diff_projects
from redcap_dagster.project.drift import (
    DEFAULT_DRIFT_POLICY,
    DRIFT_MEANINGS,
    Drift,
    DriftKind,
    DriftPolicy,
    find_drift,
    merge_drift_policy,
)
from redcap_dagster.project.model import (
    Arm,
    Choice,
    DictionaryField,
    Event,
    FieldType,
    FormEvent,
    Instrument,
    MissingDataCode,
    ProjectInfo,
    RedcapProject,
    RepeatRule,
)
from redcap_dagster.project.parse import parse_project
from redcap_dagster.project.snapshot import SNAPSHOT_COMMANDS
from redcap_dagster.project.validation import (
    PLAIN_TEXT,
    TEXT_VALIDATIONS,
    TextValidation,
    ValueKind,
    text_validation,
    value_kind,
)

__all__ = [
    "DEFAULT_DRIFT_POLICY",
    "DRIFT_MEANINGS",
    "PLAIN_TEXT",
    "SNAPSHOT_COMMANDS",
    "TEXT_VALIDATIONS",
    "AnswerRow",
    "Arm",
    "Choice",
    "ColumnKind",
    "DesignChange",
    "DictionaryField",
    "Drift",
    "DriftKind",
    "DriftPolicy",
    "Event",
    "ExportColumn",
    "FieldType",
    "FormEvent",
    "Instrument",
    "MissingDataCode",
    "ProjectAnswers",
    "ProjectInfo",
    "RedcapProject",
    "RepeatRule",
    "TextValidation",
    "ValueKind",
    "check_same_project",
    "checkbox_column_name",
    "diff_projects",
    "find_drift",
    "form_status_column_name",
    "merge_drift_policy",
    "parse_project",
    "plan_export_columns",
    "text_validation",
    "value_kind",
]
