"""From a table of the study to the asset spec that Dagster shows: the one override point."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

import dagster as dg

from redcap_dagster.orchestration.kinds import DESCRIPTIONS, TableKind
from redcap_dagster.orchestration.metadata import column_schema
from redcap_dagster.project import Instrument, RedcapProject
from redcap_dagster.tables import DEFAULT_TABLE_OPTIONS, TableOptions, TableSpec

_LAID_OUT_BY_OPTIONS: frozenset[TableKind] = frozenset(
    {"instrument", "rejected_values", "missing_reasons"}
)


@dataclass(frozen=True)
class RedcapTableProps:
    """Everything about one table that a translator may use.

    Attributes:
        name: Name of the table and of its file: the instrument's unique name, the kind, or
            `report-<id>`.
        kind: What the table holds.
        project: The design of the study.
        spec: Columns of the table with their types.
        instrument: The instrument, for tables of that kind; else None.
        report_id: Number of the report, for tables of that kind; else None.
        table_options: How the study's typed tables are laid out.
    """

    name: str
    kind: TableKind
    project: RedcapProject
    spec: TableSpec
    instrument: Instrument | None = None
    report_id: int | None = None
    table_options: TableOptions = DEFAULT_TABLE_OPTIONS

    @property
    def path(self) -> tuple[str, ...]:
        """The parts of the asset key that Dagster shows: the name, or `reports` and the number."""
        return (self.name,) if self.report_id is None else ("reports", str(self.report_id))


class DagsterRedcapTranslator:
    """Turns tables of a study into asset specs. Override `get_asset_spec` to change them.

    ```python
    class MyTranslator(DagsterRedcapTranslator):
        def get_asset_spec(self, props: RedcapTableProps) -> dg.AssetSpec:
            spec = super().get_asset_spec(props)
            return spec.replace_attributes(key=spec.key.with_prefix("clinical"))
    ```
    """

    def get_asset_spec(self, props: RedcapTableProps) -> dg.AssetSpec:
        """The spec of one table: key, description, kinds, group, column schema, code version."""
        return dg.AssetSpec(
            key=dg.AssetKey(props.path),
            description=_describe(props),
            group_name=group_name(props.project),
            kinds={"redcap", "parquet"},
            tags=_tags(props),
            metadata={"dagster/column_schema": column_schema(props.spec)},
            code_version=_code_version(props),
            skippable=True,
        )


def group_name(project: RedcapProject) -> str:
    """The project's title as a word that can be a Dagster group and a folder."""
    words = re.sub(r"[^a-z0-9]+", "_", project.info.title.lower()).strip("_")
    return words[:60] or f"redcap_project_{project.info.project_id}"


def _code_version(props: RedcapTableProps) -> str:
    """What makes the table of the same data another one: the design, and how it is laid out."""
    fingerprint = props.project.fingerprint
    if props.kind in _LAID_OUT_BY_OPTIONS and props.table_options != DEFAULT_TABLE_OPTIONS:
        layout = json.dumps(asdict(props.table_options), sort_keys=True)
        fingerprint = sha256(f"{fingerprint} {layout}".encode()).hexdigest()
    return fingerprint[:16]


def _tags(props: RedcapTableProps) -> dict[str, str]:
    tags = {"redcap/project_id": str(props.project.info.project_id), "redcap/table": props.kind}
    if props.instrument is not None:
        tags["redcap/structure"] = props.spec.structure
    return tags


def _describe(props: RedcapTableProps) -> str:
    if props.kind == "instrument":
        return _describe_instrument(props)
    return DESCRIPTIONS[props.kind]


def _describe_instrument(props: RedcapTableProps) -> str:
    instrument = props.instrument
    if instrument is None:  # an instrument table always has one
        return props.name
    identifiers = sum(1 for field in instrument.fields if field.is_identifier)
    facts = [
        f"**{_plain(instrument.label)}**",
        f"One row for each {', '.join(f'`{name}`' for name in props.spec.key_columns)}.",
        _count(len(instrument.fields), "field"),
    ]
    if identifiers:
        facts.append(f"{_count(identifiers, 'field')} flagged as identifying a person")
    events = props.project.events_of(instrument.name)
    if events:
        facts.append(f"used in {_count(len(events), 'event')}")
    return f"{facts[0]}. {facts[1]} {_sentence(facts[2:])}"


def _sentence(parts: Sequence[str]) -> str:
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _plain(label: str) -> str:
    """A label without HTML and line breaks, at most 200 characters."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", label)).strip()[:200]
