"""The `schema` asset check of an instrument table: rules broken, counted, never shown by value."""

from collections import Counter
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import ConfigError
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import RuleFailure, build_schema, merge_failures, validate_table
from redcap_dagster.tables import DEFAULT_TABLE_OPTIONS, TableOptions, to_pandas

SCHEMA_CHECK = "schema"
_MOST_FAILURES_SHOWN = 200


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
    worst = sorted(findings, key=lambda finding: -finding[2])[:3]
    shown = ", ".join(f"{field} {rule} ({count})" for field, rule, count in worst)
    more = f" and {len(findings) - 3} more" if len(findings) > len(worst) else ""
    return f"{sum(count for _, _, count in findings)} findings: {shown}{more}."
