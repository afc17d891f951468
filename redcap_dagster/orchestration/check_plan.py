"""Which asset checks a study's tables have: decided from the design, before any data."""

import re
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from redcap_dagster.errors import ConfigError
from redcap_dagster.orchestration.checks import SCHEMA_CHECK
from redcap_dagster.orchestration.kinds import RECORD_KINDS
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.project import DEFAULT_DRIFT_POLICY, DriftKind, DriftPolicy
from redcap_dagster.quality import (
    QUALITY_RULES,
    CustomRule,
    QualityOptions,
    check_rule_names,
    read_custom_rules,
)

COMPLETE_EXTRACT = "complete_extract"
DATA_DICTIONARY_CURRENT = "data_dictionary_current"
ONE_DATA_ACCESS_GROUP = "one_data_access_group"
CUSTOM_RULES = "custom_rules"
_BUILT_IN_CHECKS = frozenset(
    {*QUALITY_RULES, SCHEMA_CHECK, COMPLETE_EXTRACT, DATA_DICTIONARY_CURRENT}
)
_MOST_CHECKS_OF_CUSTOM_RULES = 40

_SCHEMA_DESCRIPTION = (
    "Types, choices, ranges and formats of the data dictionary, and the table's key. Shows counts "
    "by field and rule, never values."
)


def plan_checks(
    props_by_key: Mapping[dg.AssetKey, RedcapTableProps],
    quality: QualityOptions | None,
    drift_policy: Mapping[DriftKind, DriftPolicy] = DEFAULT_DRIFT_POLICY,
    partitions_def: dg.PartitionsDefinition[str] | None = None,
) -> list[dg.AssetCheckSpec]:
    """Every check of a study's tables.

    Args:
        props_by_key: The tables.
        quality: Which rules run; None for none.
        drift_policy: What kinds of changes of the design are worth.
        partitions_def: Partitions of the records, where each shall have results of its own.

    Raises:
        ConfigError: The file of custom rules cannot be read, or an option names no rule.
    """
    if quality is not None:
        check_rule_names(quality, [rule.name for rule in _custom_rules(quality)])
    return [
        spec
        for key, props in props_by_key.items()
        for spec in _checks_of_table(
            key,
            props,
            quality,
            drift_policy,
            partitions_def if props.kind in RECORD_KINDS else None,
        )
    ]


def _checks_of_table(
    key: dg.AssetKey,
    props: RedcapTableProps,
    quality: QualityOptions | None,
    drift_policy: Mapping[DriftKind, DriftPolicy],
    partitions_def: dg.PartitionsDefinition[str] | None,
) -> Iterator[dg.AssetCheckSpec]:
    if props.kind == "instrument":
        yield dg.AssetCheckSpec(
            SCHEMA_CHECK,
            asset=key,
            description=_SCHEMA_DESCRIPTION,
            partitions_def=partitions_def,
        )
    elif props.kind == "records":
        yield dg.AssetCheckSpec(
            COMPLETE_EXTRACT,
            asset=key,
            description="Every record that was asked for came, and every row is in the table.",
            partitions_def=partitions_def,
        )
    elif props.kind == "metadata":
        yield dg.AssetCheckSpec(
            DATA_DICTIONARY_CURRENT,
            asset=key,
            description="The study's design is as in the snapshot that the assets were defined by.",
            blocking="block" in drift_policy.values(),
        )
    if quality is not None:
        yield from _rules_of_table(key, props, quality, partitions_def)


def _rules_of_table(
    key: dg.AssetKey,
    props: RedcapTableProps,
    quality: QualityOptions,
    partitions_def: dg.PartitionsDefinition[str] | None,
) -> Iterator[dg.AssetCheckSpec]:
    if props.kind == "quality_findings":
        for name, rules in plan_custom_checks(quality).items():
            yield dg.AssetCheckSpec(
                name,
                asset=key,
                description=f"Custom rule: {rules[0].name}"
                if len(rules) == 1
                else f"{len(rules)} custom rules of the study.",
                blocking=any(_blocks(rule, quality) for rule in rules),
                partitions_def=partitions_def,
            )
        return
    for name in _names_of_rules(props):
        if quality.runs(name):
            rule = QUALITY_RULES[name]
            letter = f"REDCap's data quality rule {rule.letter}. " if rule.letter else ""
            yield dg.AssetCheckSpec(
                name,
                asset=key,
                description=f"{letter}{rule.title}",
                blocking=name in quality.blocking,
                partitions_def=partitions_def,
            )


def _names_of_rules(props: RedcapTableProps) -> list[str]:
    """Rules that a table can break. Those with REDCap's letters stand on every instrument."""
    if props.kind == "records":
        return [ONE_DATA_ACCESS_GROUP]
    if props.kind != "instrument" or props.instrument is None:
        return []
    fields = props.instrument.fields
    secondary = props.project.info.secondary_unique_field
    is_there = {
        "instance_gaps": props.spec.structure != "nonrepeating",
        "entry_limits": any(
            field.is_matrix_ranking or _LIMITING_TAGS.search(field.annotation) for field in fields
        ),
        "secondary_unique_field": any(field.name == secondary for field in fields),
        ONE_DATA_ACCESS_GROUP: False,
    }
    return [name for name in QUALITY_RULES if is_there.get(name, True)]


_LIMITING_TAGS = re.compile("@(NONEOFTHEABOVE|MAXCHECKED|CHARLIMIT|WORDLIMIT)")


def plan_custom_checks(quality: QualityOptions) -> dict[str, tuple[CustomRule, ...]]:
    """The checks of custom rules: one each, or one for all where they are too many to show.

    Raises:
        ConfigError: The file cannot be read, or two rules, or a rule and a built-in one, would
            have one check.
    """
    rules = _custom_rules(quality)
    if len(rules) > _MOST_CHECKS_OF_CUSTOM_RULES:
        return {CUSTOM_RULES: rules}
    checks: dict[str, tuple[CustomRule, ...]] = {}
    for rule in rules:
        name = re.sub(r"[^a-z0-9]+", "_", rule.name.lower()).strip("_") or "rule"
        if name in _BUILT_IN_CHECKS:
            raise ConfigError(
                f"The custom rule {rule.name!r} would have the asset check {name}, which is a "
                "built-in one. Rename it."
            )
        if name in checks:
            raise ConfigError(
                f"The custom rules {checks[name][0].name!r} and {rule.name!r} would have one "
                f"asset check, {name}. Rename one of them."
            )
        checks[name] = (rule,)
    return checks


def _custom_rules(quality: QualityOptions) -> tuple[CustomRule, ...]:
    return () if quality.custom_rules is None else read_custom_rules(quality.custom_rules)


def _blocks(rule: CustomRule, quality: QualityOptions) -> bool:
    return rule.is_blocking or rule.name in quality.blocking


def rules_of_check(quality: QualityOptions, name: str) -> Sequence[str]:
    """The rules whose outcome a check shows.

    Raises:
        ConfigError: The file of custom rules has no rule for the check any more.
    """
    if name in QUALITY_RULES:
        return [name]
    custom = plan_custom_checks(quality)
    if name not in custom:
        raise ConfigError(
            f"The file of custom rules has no rule for the check {name} any more. Reload the "
            "code location, so that the checks are those of the file."
        )
    return [rule.name for rule in custom[name]]
