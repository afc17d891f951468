"""What a study may decide about its data-quality rules, as one frozen value."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from redcap_dagster.errors import ConfigError
from redcap_dagster.logic import DEFAULT_OPTIONS, LogicOptions
from redcap_dagster.project import DictionaryField
from redcap_dagster.quality.catalogue import QUALITY_RULES, Severity

_FIXED_DECIMALS = tuple(f"number_{count}dp" for count in range(1, 5))


@dataclass(frozen=True, kw_only=True)
class QualityOptions:
    """Which data-quality rules run, and how. The defaults are what a data manager expects.

    Attributes:
        rules: Names of the rules to run; None for all.
        severities: Rule → `warn` or `error`, for rules and custom rules whose severity shall not
            follow the data dictionary.
        blocking: Rules whose findings keep downstream assets from running; they are errors.
        custom_rules: File of custom rules: YAML, or the CSV that REDCap exports.
        exclusions: File of findings that were looked at and are to be left out: CSV or YAML.
        as_of: What `today` and `now` mean in bounds and logic, in the study's own time, without
            a time zone; None for the moment of the run.
        lists_missing_values: Whether rule A's findings are rows of `quality_findings`. They are
            counted anyway; most studies have very many.
        includes_unopened_forms: Whether rules A, B and H look at forms that were never opened
            (form status blank) where their row exists, as REDCap does.
        includes_file_fields: Whether rule A looks at file fields.
        includes_form_status: Whether rule A looks at form statuses.
        requires_a_tick: Whether a required checkbox without a tick is a finding of rule B.
        exact_decimals: Whether rule C asks `number_2dp` for exactly two decimals.
        outlier_multiplier: Deviations from the mean that make an outlier.
        outlier_method: `mean`: the mean and the sample's standard deviation. `median`: the median
            and 1.4826 times the median deviation from it, which outliers do not move.
        outliers_with_decimal_places: Whether rule E looks at `number_2dp` and its like too.
        hidden_calculations: Whether rule F looks at calculated fields.
        calculations_with_today: Whether rule H looks at calculations that use `today` or `now`,
            whose stored results drift. Give `as_of` then.
        calculation_tolerance: Relative difference up to which two results are the same.
        logic: What REDCap's documentation of its logic leaves open.
    """

    rules: Collection[str] | None = None
    severities: Mapping[str, Severity] = field(default_factory=dict)
    blocking: Collection[str] = ()
    custom_rules: str | Path | None = None
    exclusions: str | Path | None = None
    as_of: date | datetime | None = None
    lists_missing_values: bool = False
    includes_unopened_forms: bool = False
    includes_file_fields: bool = False
    includes_form_status: bool = False
    requires_a_tick: bool = True
    exact_decimals: bool = True
    outlier_multiplier: float = 2.0
    outlier_method: Literal["mean", "median"] = "mean"
    outliers_with_decimal_places: bool = False
    hidden_calculations: bool = False
    calculations_with_today: bool = False
    calculation_tolerance: float = 1e-9
    logic: LogicOptions = DEFAULT_OPTIONS

    def __post_init__(self) -> None:
        unknown = sorted(set(self.rules or ()) - QUALITY_RULES.keys())
        if unknown:
            raise ConfigError(
                f"There is no quality rule {', '.join(unknown)}. The rules are: "
                f"{', '.join(QUALITY_RULES)}."
            )
        wrong = sorted(
            name for name, value in self.severities.items() if value not in {"warn", "error"}
        )
        if wrong:
            raise ConfigError(f"The severity of {', '.join(wrong)} must be 'warn' or 'error'.")
        if not self.outlier_multiplier > 0:
            raise ConfigError("outlier_multiplier must be above 0.")
        refuse_time_zone(self.as_of)

    def runs(self, rule: str) -> bool:
        """Whether a rule is to run."""
        return self.rules is None or rule in self.rules

    def judges_outliers_of(self, item: DictionaryField) -> bool:
        """Whether the rule of outliers looks at a field."""
        if item.field_type in {"slider", "calc"}:
            return True
        if item.field_type != "text":
            return False
        name = item.validation.removesuffix("_comma_decimal")
        return name in {"integer", "number"} or (
            self.outliers_with_decimal_places and name in _FIXED_DECIMALS
        )


def refuse_time_zone(as_of: date | datetime | None) -> None:
    """Make sure that a moment can be compared with those of a study, which have no time zone.

    Raises:
        ConfigError: It has one.
    """
    if isinstance(as_of, datetime) and as_of.tzinfo is not None:
        raise ConfigError(
            "as_of has a time zone, and the moments of a study have none: give the study's own "
            "time, such as as_of.replace(tzinfo=None)."
        )


def check_rule_names(options: QualityOptions, custom: Collection[str]) -> None:
    """Make sure that severities and blocking name rules that there are.

    Raises:
        ConfigError: A name is neither a rule's nor a custom rule's.
    """
    known = QUALITY_RULES.keys() | set(custom)
    unknown = sorted({*options.severities, *options.blocking} - known)
    if unknown:
        raise ConfigError(
            f"There is no quality rule {', '.join(unknown)} to give a severity or to block. The "
            f"rules are: {', '.join([*QUALITY_RULES, *custom])}."
        )
