"""The rules: their names, REDCap's letters for them, and how serious what they find is."""

from dataclasses import dataclass
from typing import Literal

from redcap_dagster.project import DictionaryField

Severity = Literal["warn", "error"]

UNIQUE_KEY = "unique_key"
MISSING_VALUES = "missing_values"
MISSING_REQUIRED_VALUES = "missing_required_values"
INVALID_DATA_TYPE = "invalid_data_type"
OUT_OF_RANGE = "out_of_range"
OUTLIERS = "outliers"
HIDDEN_FIELDS_WITH_VALUES = "hidden_fields_with_values"
INVALID_CHOICES = "invalid_choices"
INCORRECT_CALCULATIONS = "incorrect_calculations"
MISSING_DATA_CODES = "missing_data_codes"
MISPLACED_FORMS = "misplaced_forms"
INSTANCE_GAPS = "instance_gaps"
ENTRY_LIMITS = "entry_limits"
SECONDARY_UNIQUE_FIELD = "secondary_unique_field"
READABLE_LOGIC = "readable_logic"
ONE_DATA_ACCESS_GROUP = "one_data_access_group"

FORBIDDEN_CODE = "Missing data code where @NOMISSING forbids it"
"""Status of the one kind of finding that is an error wherever it stands."""


@dataclass(frozen=True, slots=True)
class QualityRule:
    """One rule.

    Attributes:
        name: Of the rule and of its asset check.
        letter: REDCap's letter for the rule, or "".
        title: What it finds, in one sentence.
        severity: Of what it finds; `dictionary` where that depends on the field.
    """

    name: str
    letter: str
    title: str
    severity: Literal["warn", "error", "dictionary"] = "warn"


QUALITY_RULES: dict[str, QualityRule] = {
    rule.name: rule
    for rule in (
        QualityRule(UNIQUE_KEY, "", "Rows that share their key with another row.", "error"),
        QualityRule(
            MISSING_VALUES, "A", "Fields left blank, unless hidden by branching logic.", "warn"
        ),
        QualityRule(
            MISSING_REQUIRED_VALUES,
            "B",
            "Required fields left blank, unless hidden by branching logic.",
            "error",
        ),
        QualityRule(
            INVALID_DATA_TYPE,
            "C",
            "Values that do not have the format of their validation type.",
            "dictionary",
        ),
        QualityRule(
            OUT_OF_RANGE, "D", "Values below the minimum or above the maximum.", "dictionary"
        ),
        QualityRule(
            OUTLIERS, "E", "Numbers more than two standard deviations from the field's mean."
        ),
        QualityRule(
            HIDDEN_FIELDS_WITH_VALUES,
            "F",
            "Fields that branching logic hides and that hold a value.",
            "dictionary",
        ),
        QualityRule(
            INVALID_CHOICES, "G", "Codes that are not among the field's choices.", "dictionary"
        ),
        QualityRule(
            INCORRECT_CALCULATIONS, "H", "Stored results that differ from the calculation."
        ),
        QualityRule(MISSING_DATA_CODES, "I", "Missing data codes.", "dictionary"),
        QualityRule(
            MISPLACED_FORMS,
            "",
            "Rows with data of the form in an event, or a kind of row, where it is not used.",
        ),
        QualityRule(INSTANCE_GAPS, "", "Repeat instances whose numbers do not follow on."),
        QualityRule(
            ENTRY_LIMITS,
            "",
            "What data entry enforces and an import does not: @NONEOFTHEABOVE, @MAXCHECKED, "
            "@CHARLIMIT, @WORDLIMIT, ranking matrices.",
        ),
        QualityRule(
            SECONDARY_UNIQUE_FIELD,
            "",
            "Values of the secondary unique field that several records hold.",
            "error",
        ),
        QualityRule(
            READABLE_LOGIC,
            "",
            "Branching logic, calculations, bounds and tags that cannot be read, or name what the "
            "study does not have.",
        ),
        QualityRule(
            ONE_DATA_ACCESS_GROUP, "", "Records whose rows are in different data access groups."
        ),
    )
}
"""Every rule by its name, in the order in which they are shown."""


def finding_severity(rule: str, field: DictionaryField | None, status: str) -> Severity:
    """How serious one finding is, by the data dictionary.

    What is wrong in a field that is required, or flagged as identifying a person, is an error;
    so is a bound that `@FORCE-MINMAX` makes hard. Ranges are soft otherwise.
    """
    severity = QUALITY_RULES[rule].severity
    if severity != "dictionary":
        return severity
    if rule == MISSING_DATA_CODES:
        return "error" if status == FORBIDDEN_CODE else "warn"
    if field is None:
        return "warn"
    if rule == OUT_OF_RANGE:
        return "error" if "@FORCE-MINMAX" in field.annotation else "warn"
    if rule == HIDDEN_FIELDS_WITH_VALUES:
        return "error" if field.is_identifier else "warn"
    return "error" if field.is_required or field.is_identifier else "warn"
