"""Findings that somebody looked at and wants left out: a file that the study keeps."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import ConfigError
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality.catalogue import ONE_DATA_ACCESS_GROUP, QUALITY_RULES
from redcap_dagster.quality.custom_rules import TextLoader, parse_yaml, read_text
from redcap_dagster.quality.findings import plan_findings_table

_SEPARATOR = "\x1f"
_COMMENT = "comment"
_NOT_IN_THE_KEY = {"redcap_data_access_group", "status", "excluded"}


@dataclass(frozen=True, repr=False)
class Exclusions:
    """The excluded findings of a study. Its `repr` shows no record ids.

    Attributes:
        columns: Columns of `quality_findings` that tell findings apart.
        keys: Values of these columns of each excluded finding, joined.
        rules: Names of the rules whose findings are excluded.
        idle: How many exclude what no rule can find: the study has no such instrument or field.
    """

    columns: tuple[str, ...]
    keys: pa.Array
    rules: frozenset[str] = frozenset()
    idle: int = 0

    def are_excluded(self, findings: pa.Table) -> pa.Array:
        """Whether each row of `quality_findings` is excluded."""
        if not len(self.keys):
            return pa.repeat(pa.scalar(value=False), findings.num_rows)
        parts = [findings.column(name).combine_chunks().fill_null("") for name in self.columns]
        return pc.is_in(pc.binary_join_element_wise(*parts, _SEPARATOR), value_set=self.keys)


def read_exclusions(
    path: str | Path | None, project: RedcapProject, custom_rules: Collection[str] = ()
) -> Exclusions:
    """Read a file of exclusions: rows of `quality_findings`, kept by hand.

    A CSV with the columns of `quality_findings`, or a YAML list (at the top or under
    `exclusions`) of mappings with these keys, and `comment`. The record id and `rule` are needed;
    what else is left out is blank. `status`, the group, and further columns of a CSV are not
    looked at: a finding is excluded whatever its status.

    A name that is no rule's is a mistake. An instrument or field that the study does not have may
    have been removed since, so these exclusions are counted as idle.

    Args:
        path: The file; None for no exclusions.
        project: The study's design.
        custom_rules: Names of the study's own rules.

    Raises:
        ConfigError: The file is missing or not of this form, or names a rule that there is not.
            Names lines, never what stands in them: record ids do.
    """
    columns = plan_findings_table(project).columns_by_name
    names = [name for name in columns if name not in _NOT_IN_THE_KEY]
    if path is None:
        return Exclusions(tuple(names), pa.array([], pa.string()))
    path = Path(path)
    text = read_text(path, "excluded findings")
    is_csv = path.suffix.lower() == ".csv"
    rows = [*(_csv_rows(text) if is_csv else _yaml_rows(path, text, columns))]
    rules = (*QUALITY_RULES, *custom_rules)
    for number, row in enumerate(rows, start=1):
        if not row.get(names[0]) or not row.get("rule"):
            raise ConfigError(f"Exclusion {number} of {path} needs {names[0]} and rule.")
        if row["rule"] not in rules:
            raise ConfigError(
                f"Exclusion {number} of {path} names a rule that there is not. The rules are: "
                f"{', '.join(rules)}."
            )
    keys = [_SEPARATOR.join(row.get(name, "") for name in names) for row in rows]
    return Exclusions(
        tuple(names),
        pa.array(keys, pa.string()),
        frozenset(row["rule"] for row in rows),
        sum(not _can_be_found(row, project) for row in rows),
    )


def _can_be_found(row: Mapping[str, str], project: RedcapProject) -> bool:
    """Whether a rule looks at the place that an exclusion names, by the study's design."""
    instrument, field = row.get("instrument", ""), row.get("field", "")
    if row["rule"] not in QUALITY_RULES or row["rule"] == ONE_DATA_ACCESS_GROUP:
        return not instrument and not field
    if instrument not in project.instruments_by_name:
        return False
    known = project.fields_by_name.get(field)
    is_of_form = known is not None and known.instrument == instrument
    return is_of_form or field in {"", f"{instrument}_complete"}


def _csv_rows(text: str) -> Iterable[Mapping[str, str]]:
    for row in csv.DictReader(io.StringIO(text)):
        yield {name: value for name, value in row.items() if isinstance(value, str)}


def _yaml_rows(path: Path, text: str, columns: Collection[str]) -> Iterable[Mapping[str, str]]:
    for number, item in enumerate(parse_yaml(path, text, "exclusions", TextLoader), start=1):
        if not isinstance(item, dict) or not all(
            value is None or isinstance(value, str) for value in item.values()
        ):
            raise ConfigError(f"Exclusion {number} of {path} must be a mapping of texts.")
        if not item.keys() <= {*columns, _COMMENT}:
            raise ConfigError(
                f"Exclusion {number} of {path} has a key that is none of {', '.join(columns)}, "
                f"{_COMMENT}."
            )
        yield {name: "" if value is None else value for name, value in item.items()}
