"""A study's rules as pandera schemas of its typed tables. Counts out, never values."""

from redcap_dagster.quality.rules import UncompiledRule
from redcap_dagster.quality.schema import build_schema, list_uncompiled_rules
from redcap_dagster.quality.validate import RuleFailure, merge_failures, validate_table

__all__ = [
    "RuleFailure",
    "UncompiledRule",
    "build_schema",
    "list_uncompiled_rules",
    "merge_failures",
    "validate_table",
]
