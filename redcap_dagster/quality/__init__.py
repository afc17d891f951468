"""A study's rules: pandera schemas of its typed tables, and REDCap's data-quality rules.

`build_schema` makes a schema to take and use alone. `plan_quality` says what the rules look at,
`QualityJudge` runs them: findings (places, no values) and counts come out.
"""

from redcap_dagster.quality.catalogue import QUALITY_RULES, QualityRule, Severity
from redcap_dagster.quality.custom_rules import CustomRule, read_custom_rules
from redcap_dagster.quality.findings import FindingKind, plan_findings_table
from redcap_dagster.quality.judge import QualityJudge, RuleCount, RuleOutcome
from redcap_dagster.quality.options import QualityOptions, check_rule_names
from redcap_dagster.quality.plan import NotEvaluated, QualityPlan, plan_quality
from redcap_dagster.quality.rules import UncompiledRule
from redcap_dagster.quality.schema import build_schema, list_uncompiled_rules
from redcap_dagster.quality.validate import RuleFailure, merge_failures, validate_table

__all__ = [
    "QUALITY_RULES",
    "CustomRule",
    "FindingKind",
    "NotEvaluated",
    "QualityJudge",
    "QualityOptions",
    "QualityPlan",
    "QualityRule",
    "RuleCount",
    "RuleFailure",
    "RuleOutcome",
    "Severity",
    "UncompiledRule",
    "build_schema",
    "check_rule_names",
    "list_uncompiled_rules",
    "merge_failures",
    "plan_findings_table",
    "plan_quality",
    "read_custom_rules",
    "validate_table",
]
