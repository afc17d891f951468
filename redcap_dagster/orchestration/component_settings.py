"""Settings of the component that are more than one word, and what they become."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from redcap_dagster.destinations import DestinationKind, SchemaChanges
from redcap_dagster.errors import ConfigError
from redcap_dagster.logic import LogicOptions
from redcap_dagster.orchestration.destination_assets import build_redcap_destination_assets
from redcap_dagster.orchestration.destination_resource import RedcapDestination
from redcap_dagster.orchestration.partitions import (
    arm_partitions,
    data_access_group_partitions,
    event_partitions,
    record_partitions,
)
from redcap_dagster.orchestration.server_time import parse_timezone
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.privacy import DEFAULT_KEY_ENV, DeidentificationOptions
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import QUALITY_RULES, QualityOptions, Severity
from redcap_dagster.tables import CheckboxStyle, ChoiceStyle, TableOptions


def pointed_at(schema: dict[str, Any]) -> None:
    """Let `dg check yaml` point into a setting: no text stands for the whole of it.

    Dagster lets a text with a template in it stand for any setting. What is wrong inside one is
    then told at its first line, and a word that is none of those allowed is not told at all. A
    null beside one kind of setting does the same: such a setting is left out instead.
    """
    kinds = [kind for kind in schema.pop("anyOf") if kind != {"type": "string"}]
    given = [kind for kind in kinds if kind != {"type": "null"}]
    schema.update(given[0] if len(given) == 1 else {"anyOf": kinds})


# `dg check yaml` tells these; a text with a template in it is told when it is filled in.
AT_LEAST_ONE: dict[str, Any] = {"minimum": 1}
DAY: dict[str, Any] = {"pattern": r"^\d{4}-\d\d-\d\d$|\{\{"}
CRON: dict[str, Any] = {"pattern": r"^\s*(@\w+|\S+(\s+\S+){4})\s*$|\{\{"}


class GroupPartitions(dg.Model, dg.Resolvable):
    """Partitions by data access group."""

    data_access_groups: list[str] = Field(
        description="Unique group names. A partition no-group holds the records of none."
    )


class DestinationSettings(dg.Model):
    """The database that the tables are loaded into."""

    kind: DestinationKind = Field(description="duckdb or postgresql.")
    url_env: str = Field(
        default="REDCAP_DESTINATION_URL",
        description="Name of the environment variable that holds the address of the database.",
    )
    schema_name: str = Field(
        default="redcap", description="Schema that the tables are loaded into; one for each study."
    )
    key_prefix: str | list[str] | None = Field(
        default=None, description="Put before the asset keys of the study; the kind by default."
    )
    tables: list[str] | None = Field(
        default=None, description="Names of the tables to load; all by default."
    )
    schema_changes: SchemaChanges = Field(
        default="add", description="What is done where a table there is different."
    )

    def to_resource(self) -> RedcapDestination:
        """The database as a resource; its address stays in the environment."""
        return RedcapDestination(url=dg.EnvVar(self.url_env), schema_name=self.schema_name)

    def build_assets(
        self, study: dg.AssetsDefinition, resource_key: str
    ) -> list[dg.AssetsDefinition]:
        """The tables in the database, each loaded after what it is loaded from has changed."""
        return build_redcap_destination_assets(
            study,
            kind=self.kind,
            resource_key=resource_key,
            key_prefix=self.key_prefix,
            tables=self.tables,
            schema_changes=self.schema_changes,
            translation=_loaded_eagerly,
        )


def _loaded_eagerly(spec: dg.AssetSpec, _: RedcapTableProps) -> dg.AssetSpec:
    return spec.replace_attributes(automation_condition=dg.AutomationCondition.eager())


class ChangeSensorSettings(dg.Model, dg.Resolvable):
    """How the sensor looks for changes."""

    minimum_interval_seconds: int = Field(default=300, description="Seconds between two looks.")
    full_every_days: float | None = Field(
        default=7, description="Days until everything is requested again; null for never."
    )
    inbox: str | None = Field(
        default=None,
        description="File that `redcap-dagster trigger-inbox` writes; the sensor then looks at "
        "once when REDCap's data entry trigger came.",
    )


class FreshnessSettings(dg.Model, dg.Resolvable):
    """How old the tables may get: `dg.FreshnessPolicy.time_window`."""

    fail_after_hours: float = Field(
        description="Hours after its last materialization from which a table is overdue."
    )
    warn_after_hours: float | None = Field(
        default=None, description="Hours from which it is told as nearly so; null for never."
    )

    def to_policy(self) -> dg.FreshnessPolicy:
        """The policy that these settings stand for.

        Raises:
            ConfigError: The warning does not come before the failure, or that within a minute.
        """
        fail, warn = self.fail_after_hours, self.warn_after_hours
        if fail * 60 < 1:
            raise ConfigError(f"`fail_after_hours` is {fail:g}; Dagster takes a minute and more.")
        if warn is not None and not 0 < warn < fail:
            raise ConfigError(
                f"`warn_after_hours` is {warn:g}; it takes more than 0 and less than "
                f"`fail_after_hours`, which is {fail:g}."
            )
        return dg.FreshnessPolicy.time_window(
            timedelta(hours=fail), None if warn is None else timedelta(hours=warn)
        )


class TableSettings(dg.Model):
    """How the typed tables are laid out: `TableOptions`."""

    choices: ChoiceStyle = Field(
        default="codes", description="Radio and dropdown fields: codes, labels or both."
    )
    checkboxes: CheckboxStyle = Field(
        default="columns", description="A column for each choice, or one list of the ticked."
    )
    missing_reasons: bool = Field(
        default=False, description="Whether a table says why each blank is blank."
    )

    def to_options(self) -> TableOptions:
        """The options that these settings stand for."""
        return TableOptions(**dict(self))


class LogicSettings(dg.Model):
    """What REDCap's documentation of its logic leaves open: `LogicOptions`."""

    missing_codes: list[str] | None = None
    numeric_text_equality: bool = True
    blank_orders_as_zero: bool = False
    mixed_date_order: bool = False
    tolerance: float = 1e-9
    percent_is_mod: bool = False
    negative_ties: Literal["away_from_zero", "up"] = "away_from_zero"
    directed_rounding: Literal["number_line", "magnitude"] = "number_line"
    mod_sign: Literal["dividend", "divisor"] = "dividend"
    sum_of_blanks: Literal["blank", "zero"] = "blank"
    stdev: Literal["sample", "population"] = "sample"
    find_is_case_sensitive: bool = False

    def to_options(self) -> LogicOptions:
        """The options that these settings stand for."""
        codes = None if self.missing_codes is None else frozenset(self.missing_codes)
        return LogicOptions(**{**dict(self), "missing_codes": codes})


class QualitySettings(dg.Model):
    """Which data-quality rules run, and how: `QualityOptions`."""

    enabled: bool = Field(default=True, description="Whether any rule runs.")
    rules: list[str] | None = Field(
        default=None,
        description="Names of the rules to run; null for all.",
        json_schema_extra={"items": {"enum": list(QUALITY_RULES)}},
    )
    severities: dict[str, Severity] = Field(
        default={}, description="Severity by rule or custom rule, in place of the dictionary's."
    )
    blocking: list[str] = Field(
        default=[], description="Rules whose findings keep downstream assets from running."
    )
    custom_rules: str | None = Field(
        default=None, description="File of custom rules, found from the folder of this file."
    )
    exclusions: str | None = Field(
        default=None, description="File of findings to leave out, found from the same folder."
    )
    as_of: str | None = Field(
        default=None,
        description="Date, or date and time, that `today` and `now` mean; null for the run's.",
        examples=["2026-01-31"],
    )
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
    logic: LogicSettings = LogicSettings()

    def to_options(self, folder: Path) -> QualityOptions | None:
        """The options that these settings stand for; None where no rule shall run.

        Args:
            folder: Where relative names of files start.

        Raises:
            ConfigError: A rule or a moment is none.
        """
        if not self.enabled:
            return None
        given = {name: value for name, value in self if name != "enabled"}
        return QualityOptions(
            **{
                **given,
                "custom_rules": _beside(folder, self.custom_rules),
                "exclusions": _beside(folder, self.exclusions),
                "as_of": _moment(self.as_of),
                "logic": self.logic.to_options(),
            }
        )


class DeidentificationSettings(dg.Model):
    """What is taken out of the tables before they are written: `DeidentificationOptions`."""

    drop_identifiers: bool = Field(
        default=True, description="Leave out fields flagged as identifiers."
    )
    drop_free_text: bool = Field(
        default=True, description="Leave out fields in which a person can write what they like."
    )
    pseudonymize_record_ids: bool = Field(
        default=True, description="Replace record ids by keyed digests."
    )
    shift_dates: bool = Field(
        default=True, description="Move all dates of a record into the past by the same days."
    )
    longest_shift_days: int = Field(default=364, description="Most days a record is moved by.")
    keep: list[str] = Field(default=[], description="Fields that are not left out.")
    drop: list[str] = Field(default=[], description="Fields that are left out.")
    key_env: str = Field(
        default=DEFAULT_KEY_ENV,
        description="Name of the environment variable that holds the key.",
    )

    def to_options(self) -> DeidentificationOptions:
        """The options that these settings stand for."""
        return DeidentificationOptions(**dict(self))


def _beside(folder: Path, name: str | None) -> Path | None:
    return None if name is None else folder / name


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    wrong = ConfigError(
        f"`as_of` is {text!r}; it takes a date or a moment of the study's own time, as in "
        "2026-01-31 or 2026-01-31 23:59."
    )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise wrong from error
    if moment.tzinfo is not None:  # REDCap knows no time zones
        raise wrong
    return moment


def days_since(
    setting: str, first: str | None, timezone: str | None
) -> dg.DailyPartitionsDefinition | None:
    """Daily partitions from a day on; None without one.

    Args:
        setting: The setting that names the day.
        first: The day, as in 2026-01-31.
        timezone: Name of the server's time zone; None for UTC.

    Raises:
        ConfigError: The day or the time zone is none.
    """
    if first is None:
        return None
    try:
        datetime.strptime(first, "%Y-%m-%d")  # noqa: DTZ007 - a day of the server's local time
    except ValueError as error:
        raise ConfigError(f"`{setting}` is {first!r}; it takes a day, as in 2026-01-31.") from error
    if timezone is not None:
        parse_timezone(timezone)
    return dg.DailyPartitionsDefinition(first, timezone=timezone)


PartitionsByName = Literal["event", "arm"] | GroupPartitions


def partitions_by_name(
    project: RedcapProject, name: PartitionsByName | None, buckets: int | None
) -> dg.PartitionsDefinition[str] | None:
    """The partitions that a component names; None where it names none.

    Args:
        project: The study's design.
        name: What the records are split by beside buckets.
        buckets: Number of stable buckets.

    Raises:
        ConfigError: The project is classic and has no events or arms, or a name is none.
    """
    by_bucket = record_partitions(buckets) if buckets else None
    if name is None:
        return by_bucket
    by_name = _by_name(project, name)
    if by_bucket is None:
        return by_name
    return dg.MultiPartitionsDefinition({"part": by_name, "records": by_bucket})


def _by_name(project: RedcapProject, name: PartitionsByName) -> dg.StaticPartitionsDefinition:
    if isinstance(name, GroupPartitions):
        return data_access_group_partitions(name.data_access_groups)
    return event_partitions(project) if name == "event" else arm_partitions(project)
