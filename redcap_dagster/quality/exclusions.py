"""Findings that somebody looked at and wants left out: a file that the study keeps."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import ConfigError
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality.custom_rules import parse_yaml, read_text
from redcap_dagster.quality.findings import plan_findings_table

_SEPARATOR = "\x1f"
_NOT_IN_THE_KEY = {"redcap_data_access_group", "status", "excluded"}


@dataclass(frozen=True, repr=False)
class Exclusions:
    """The excluded findings of a study. Its `repr` shows no record ids.

    Attributes:
        columns: Columns of `quality_findings` that tell findings apart.
        keys: Values of these columns of each excluded finding, joined.
    """

    columns: tuple[str, ...]
    keys: pa.Array

    def are_excluded(self, findings: pa.Table) -> pa.Array:
        """Whether each row of `quality_findings` is excluded."""
        if not len(self.keys):
            return pa.repeat(pa.scalar(value=False), findings.num_rows)
        parts = [findings.column(name).combine_chunks().fill_null("") for name in self.columns]
        return pc.is_in(pc.binary_join_element_wise(*parts, _SEPARATOR), value_set=self.keys)


def read_exclusions(path: str | Path | None, project: RedcapProject) -> Exclusions:
    """Read a file of exclusions: rows of `quality_findings`, kept by hand.

    A CSV with the columns of `quality_findings`, or a YAML list (at the top or under
    `exclusions`) of mappings with these keys. The record id and `rule` are needed; what else is
    left out is blank. `status`, the group, and further columns such as a comment are not looked
    at: a finding is excluded whatever its status.

    Args:
        path: The file; None for no exclusions.
        project: The study's design.

    Raises:
        ConfigError: The file is missing or not of this form. Names lines, never record ids.
    """
    names = [
        name for name in plan_findings_table(project).columns_by_name if name not in _NOT_IN_THE_KEY
    ]
    if path is None:
        return Exclusions(tuple(names), pa.array([], pa.string()))
    path = Path(path)
    text = read_text(path, "excluded findings")
    rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _yaml_rows(path, text)
    keys = []
    for number, row in enumerate(rows, start=1):
        if not row.get(names[0]) or not row.get("rule"):
            raise ConfigError(f"Exclusion {number} of {path} needs {names[0]} and rule.")
        keys.append(_SEPARATOR.join(row.get(name, "") for name in names))
    return Exclusions(tuple(names), pa.array(keys, pa.string()))


def _csv_rows(text: str) -> Iterable[Mapping[str, str]]:
    for row in csv.DictReader(io.StringIO(text)):
        yield {name: value for name, value in row.items() if isinstance(value, str)}


def _yaml_rows(path: Path, text: str) -> Iterable[Mapping[str, str]]:
    for number, item in enumerate(parse_yaml(path, text, "exclusions"), start=1):
        if not isinstance(item, dict) or not all(
            value is None or isinstance(value, (str, int)) for value in item.values()
        ):
            raise ConfigError(
                f"Exclusion {number} of {path} must be a mapping of texts. Quote record ids that "
                "look like numbers, such as '007'."
            )
        yield {str(name): "" if value is None else str(value) for name, value in item.items()}
