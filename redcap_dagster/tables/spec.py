"""What a table looks like before a single row is known: frozen, printable values.

A `TableSpec` is the contract between the rooms: the splitter fills it, the writer stores it, the
quality room judges by it, and Dagster shows it. It holds names and types, never data.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

from redcap_dagster.project import Choice, DictionaryField, ExportColumn, ValueKind

CATEGORIES_FACT = "redcap.categories"
"""Name of the Arrow field metadata with a column's categories: a JSON list, in display order."""

KEY_COLUMNS_FACT = "redcap.key_columns"
"""Name of the Arrow schema metadata with the key: a JSON list of names."""

TableStructure = Literal["nonrepeating", "repeating", "mixed", "flat"]
"""How the rows of a table come about.

An instrument table is `nonrepeating` (one row per record, event or occurrence of an event),
`repeating` (one row per instance of the form), or `mixed` (repeating by itself in one event and
not in another). `flat` is every table that does not belong to one instrument.
"""

RowKind = Literal["ordinary", "repeating_form", "repeating_event"]
"""What a row of a flat export stands for: a record (in an event), an instance of one repeating
form, or an occurrence of a repeating event."""

ColumnRole = Literal[
    "record_id",
    "event_name",
    "event_instance",
    "form_instance",
    "event_label",
    "arm_number",
    "arm_name",
    "data_access_group",
    "survey_identifier",
    "survey_timestamp",
    "value",
    "choice_label",
    "checkbox",
    "checkbox_list",
    "missing_code",
    "form_status",
    "text",
]
"""What a column of a table stands for. `text` is a column of a flat table."""


@dataclass(frozen=True, slots=True)
class Placement:
    """One kind of export row that feeds a table.

    Attributes:
        event: Unique event name, or None in a classic project.
        row_kind: What the rows stand for. Rows of a repeating form are those of the table's own.
    """

    event: str | None
    row_kind: RowKind


@dataclass(frozen=True)
class TableColumn:
    """One column of a table.

    Attributes:
        name: Name in the table, unique there.
        arrow_type: Arrow type, the same in memory and in Parquet.
        role: What the column stands for.
        description: One line or more for a person; may hold the HTML of the field's label.
        nullable: Whether a row may lack it. Key columns are never null.
        kind: How the text of the export becomes a value, or None where it is not parsed.
        source: The export column that feeds it, or None where it is looked up in the design.
        field: The field of the data dictionary behind it, or None.
        missing_codes: Codes that are taken out of this column into its companion.
        choices: Code of the export and what the column holds for it, in display order, where it
            holds labels or lists; else empty. Both are unique.
        choice_sources: The export columns of a checkbox that the column lists, one for each of
            `choices`; else empty.
        restates: Name of the column whose codes it shows as labels, or "". Such a column holds
            no cell of the export of its own.
    """

    name: str
    arrow_type: pa.DataType
    role: ColumnRole
    description: str = ""
    nullable: bool = True
    kind: ValueKind | None = None
    source: ExportColumn | None = None
    field: DictionaryField | None = None
    missing_codes: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    choice_sources: tuple[ExportColumn, ...] = ()
    restates: str = ""

    @property
    def export_columns(self) -> tuple[ExportColumn, ...]:
        """Every export column whose cells it holds."""
        return self.choice_sources if self.source is None else (self.source,)

    @property
    def categories(self) -> tuple[str, ...]:
        """What a column of labels or lists can hold, in display order; else empty."""
        return tuple(choice.label for choice in self.choices)

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """What Arrow and Parquet carry along with the column. Blank facts are left out."""
        facts = {"redcap.role": self.role, "redcap.description": self.description}
        if self.source is not None:
            facts["redcap.export_column"] = self.source.name
            facts["redcap.instrument"] = self.source.instrument or ""
            facts["redcap.choice_code"] = self.source.choice_code or ""
        if self.choices:
            facts[CATEGORIES_FACT] = json.dumps(self.categories, ensure_ascii=False)
        if self.field is not None:
            facts |= _field_facts(self.field)
        return {name: fact for name, fact in facts.items() if fact}

    @property
    def arrow_field(self) -> pa.Field:
        """The column as Arrow's schema states it."""
        return pa.field(self.name, self.arrow_type, self.nullable, dict(self.metadata))


def _field_facts(item: DictionaryField) -> dict[str, str]:
    choices = [[choice.code, choice.label] for choice in item.choices]
    return {
        "redcap.field": item.name,
        "redcap.instrument": item.instrument,
        "redcap.field_type": item.field_type,
        "redcap.label": item.label,
        "redcap.choices": json.dumps(choices, ensure_ascii=False) if choices else "",
        "redcap.validation": item.validation,
        "redcap.minimum": item.minimum,
        "redcap.maximum": item.maximum,
        "redcap.note": item.note,
        "redcap.identifier": "y" if item.is_identifier else "",
        "redcap.required": "y" if item.is_required else "",
    }


@dataclass(frozen=True)
class TableSpec:
    """One table: its rows, its key and its columns.

    Attributes:
        name: Name of the table, of its file and of its asset.
        instrument: Unique name of the instrument, or None for a table that belongs to none.
        label: What a person calls it.
        structure: How its rows come about.
        key_columns: Names of the columns that together are unique and never null. Empty where
            a table has no key.
        columns: In the table's order; the key columns come first.
        placements: Kinds of export rows that feed it. Empty where the table takes every row.
        holds_record_id: Whether the record id field belongs to its instrument, so that every
            export row the instrument applies to has a value of it.
    """

    name: str
    instrument: str | None
    label: str
    structure: TableStructure
    key_columns: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    placements: tuple[Placement, ...] = ()
    holds_record_id: bool = False

    @cached_property
    def columns_by_name(self) -> dict[str, TableColumn]:
        """Every column by its name, in the table's order."""
        return {column.name: column for column in self.columns}

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Arrow schema with the facts of the data dictionary as field metadata.

        It depends on the study's design alone: every chunk, partition and run has the same.
        """
        facts = {
            "redcap.table": self.name,
            "redcap.instrument": self.instrument or "",
            "redcap.label": self.label,
            "redcap.structure": self.structure,
            KEY_COLUMNS_FACT: json.dumps(self.key_columns),
        }
        return pa.schema(
            [column.arrow_field for column in self.columns],
            {name: fact for name, fact in facts.items() if fact},
        )


def format_layout(specs: Iterable[TableSpec]) -> str:
    """The layout as text for a person: one line per table, one per column."""
    return "\n".join(line for spec in specs for line in _format_table(spec))


def _format_table(spec: TableSpec) -> list[str]:
    key = ", ".join(spec.key_columns) or "none"
    width = max(len(column.name) for column in spec.columns)
    return [
        f"{spec.name}: {spec.structure}, key {key}",
        *(
            f"    {item.name:<{width}}  {item.arrow_type!s:<13} {item.role}"
            for item in spec.columns
        ),
    ]
