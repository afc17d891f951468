"""Asset checks of a study's tables: what was found, counted, never shown by value or record."""

from collections import Counter
from typing import Any, TypeAlias

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import ConfigError, name_some
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import (
    RuleFailure,
    RuleOutcome,
    build_schema,
    merge_failures,
    validate_table,
)
from redcap_dagster.tables import DEFAULT_TABLE_OPTIONS, TableOptions, to_pandas

SCHEMA_CHECK = "schema"
_MOST_FAILURES_SHOWN = 200
_MOST_FIELDS_NAMED = 3


SchemaMark: TypeAlias = tuple[tuple[RuleFailure, ...], Counter[tuple[str, str]], int]


class SchemaCheck:
    """Judges one instrument's typed table piece by piece, as it is exported."""

    def __init__(
        self,
        project: RedcapProject,
        instrument: str | None,
        options: TableOptions = DEFAULT_TABLE_OPTIONS,
    ) -> None:
        if instrument is None:
            raise ConfigError("Only the table of an instrument has a schema check.")
        self._instrument = instrument
        self._schema = build_schema(project, instrument, options)
        self._failures: tuple[RuleFailure, ...] = ()
        self._rejected: Counter[tuple[str, str]] = Counter()
        self._rows = 0

    def mark(self) -> SchemaMark:
        """What was found so far, to go back to."""
        return self._failures, Counter(self._rejected), self._rows

    def go_back(self, mark: SchemaMark) -> None:
        """Forget what was found since a mark: the rows are read again."""
        self._failures, rejected, self._rows = mark
        self._rejected = Counter(rejected)

    def judge(self, table: pa.Table) -> None:
        """Judge rows of the table. All rows of one record must be in one piece."""
        self._rows += table.num_rows
        if table.num_rows:
            found = validate_table(self._schema, to_pandas(table))
            self._failures = merge_failures([self._failures, found])

    def count_rejected(self, rejected: pa.Table) -> None:
        """Count the values of this instrument among rejected ones: what did not fit its type."""
        own = rejected.filter(pc.equal(rejected.column("instrument"), self._instrument))
        groups = own.group_by(["field", "rule"]).aggregate([([], "count_all")])
        for row in groups.to_pylist():
            self._rejected[row["field"], row["rule"]] += row["count_all"]

    def result(self, asset_key: dg.AssetKey) -> dg.AssetCheckResult:
        """The check's result: passed when no rule was broken and no value rejected."""
        findings = [
            *(
                (failure.column or "(row)", failure.rule, failure.row_count)
                for failure in self._failures
            ),
            *(
                (field, f"type:{rule}", count)
                for (field, rule), count in sorted(self._rejected.items())
            ),
        ]
        return dg.AssetCheckResult(
            passed=not findings,
            asset_key=asset_key,
            check_name=SCHEMA_CHECK,
            severity=dg.AssetCheckSeverity.WARN,
            description=_sentence(findings),
            metadata=self._metadata(findings),
        )

    def _metadata(self, findings: list[tuple[str, str, int]]) -> dict[str, dg.MetadataValue[Any]]:
        return {
            "rows": dg.MetadataValue.int(self._rows),
            "broken_rules": dg.MetadataValue.int(len(findings)),
            "findings": dg.MetadataValue.int(sum(count for _, _, count in findings)),
            "rejected_values": dg.MetadataValue.int(sum(self._rejected.values())),
            "by_field_and_rule": dg.MetadataValue.table(
                [
                    dg.TableRecord({"field": field, "rule": rule, "rows": count})
                    for field, rule, count in findings[:_MOST_FAILURES_SHOWN]
                ],
                schema=dg.TableSchema(
                    [
                        dg.TableColumn("field", "string"),
                        dg.TableColumn("rule", "string"),
                        dg.TableColumn("rows", "int"),
                    ]
                ),
            ),
        }


def _sentence(findings: list[tuple[str, str, int]]) -> str:
    if not findings:
        return "Every value fits the data dictionary."
    worst = sorted(findings, key=lambda finding: -finding[2])
    named = [f"{field} {rule} ({count})" for field, rule, count in worst]
    count = sum(count for _, _, count in findings)
    noun = "finding" if count == 1 else "findings"
    return f"{count} {noun}: {name_some(named, _MOST_FIELDS_NAMED)}."


def rule_result(
    asset_key: dg.AssetKey, name: str, outcomes: list[RuleOutcome]
) -> dg.AssetCheckResult:
    """The result of one data-quality rule, or of several that share a check.

    Passed when everything was judged and nothing found that counts. What could not be judged is
    listed: it is not the same as nothing found.
    """
    findings = sum(item.findings for item in outcomes)
    not_evaluated = [entry for item in outcomes for entry in item.not_evaluated]
    is_error = any(item.severity == "error" and not item.passed for item in outcomes)
    counts = [count for item in outcomes for count in item.counts]
    reasons: list[dict[str, str | int]] = [
        {"rule": item.rule, "field": item.field or "", "reason": item.reason}
        for item in not_evaluated
    ]
    return dg.AssetCheckResult(
        passed=all(item.passed for item in outcomes),
        asset_key=asset_key,
        check_name=name,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=_rule_sentence(outcomes),
        metadata={
            "rows": dg.MetadataValue.int(max((item.rows for item in outcomes), default=0)),
            "findings": dg.MetadataValue.int(findings),
            "excluded": dg.MetadataValue.int(sum(item.excluded for item in outcomes)),
            "fields_with_findings": dg.MetadataValue.int(
                len({count.kind.field for count in counts if count.findings})
            ),
            "not_evaluated": dg.MetadataValue.int(len(not_evaluated)),
            "by_field": _table(
                ("rule", "field", "status", "severity", "findings", "excluded"),
                [
                    {
                        "rule": count.kind.rule,
                        "field": count.kind.field or "(row)",
                        "status": count.kind.status,
                        "severity": count.severity,
                        "findings": count.findings,
                        "excluded": count.excluded,
                    }
                    for count in counts
                ],
            ),
            **(
                {"what_was_not_evaluated": _table(("rule", "field", "reason"), reasons)}
                if reasons
                else {}
            ),
        },
    )


def _table(columns: tuple[str, ...], rows: list[dict[str, str | int]]) -> dg.MetadataValue[Any]:
    numbers = {"findings", "excluded"}
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in rows[:_MOST_FAILURES_SHOWN]],
        schema=dg.TableSchema(
            [dg.TableColumn(name, "int" if name in numbers else "string") for name in columns]
        ),
    )


def _rule_sentence(outcomes: list[RuleOutcome]) -> str:
    findings = sum(item.findings for item in outcomes)
    excluded = sum(item.excluded for item in outcomes)
    by_field: Counter[str] = Counter()
    for item in outcomes:
        for count in item.counts:
            by_field[count.kind.field or ""] += count.findings
    named = [f"{name} ({count})" for name, count in by_field.most_common() if name and count]
    shown = name_some(named, _MOST_FIELDS_NAMED)
    noun = "finding" if findings == 1 else "findings"
    parts = [f"{findings or 'No'} {noun}" + (f": {shown}" if shown else "")]
    if excluded:
        parts.append(f"{excluded} excluded")
    missed = [entry for item in outcomes for entry in item.not_evaluated]
    if missed:
        names = ", ".join(dict.fromkeys(item.field or item.rule for item in missed))
        parts.append(f"not evaluated: {names}")
    return "; ".join(parts) + "."
