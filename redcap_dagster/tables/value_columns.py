"""From the export columns of an instrument to the columns of values in its table."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

import pyarrow as pa

from redcap_dagster.project import (
    Choice,
    ColumnKind,
    DictionaryField,
    ExportColumn,
    RedcapProject,
    ValueKind,
    value_kind,
)
from redcap_dagster.tables.arrow_types import (
    ARROW_TYPES,
    BOOLEAN,
    CATEGORY,
    INTEGER,
    TEXT,
    TEXT_LIST,
    TIMESTAMP,
)
from redcap_dagster.tables.names import NOT_COMPLETED, companion_name, label_name
from redcap_dagster.tables.options import TableOptions
from redcap_dagster.tables.spec import ColumnRole, TableColumn

_FIELD_TYPES_WITH_CHOICES = frozenset({"radio", "dropdown", "yesno", "truefalse"})
_OF_NO_FIELD: dict[ColumnKind, str] = {
    "event": "Unique name of the event",
    "repeat_instrument": "Unique name of the instrument that the row is an instance of; blank "
    "where none repeats by itself",
    "repeat_instance": "Number of the instance, or of the occurrence of the event; blank where "
    "nothing repeats",
    "data_access_group": "Unique name of the record's data access group; blank where it is in none",
    "survey_identifier": "Identifier of the survey participant",
    "survey_timestamp": "When the survey was completed",
    "form_status": "Form status: 0 incomplete, 1 unverified, 2 complete; nothing when never opened",
}
"""Kind of a column that belongs to no field → what it holds, for a person."""


def plan_value_columns(
    project: RedcapProject, sources: Sequence[ExportColumn], options: TableOptions
) -> Iterator[TableColumn]:
    """Plan the columns that an instrument's export columns become, in their order."""
    for name, group in groupby(sources, key=lambda source: source.field):
        field = project.fields_by_name.get(name or "")
        if field is None:
            for source in group:
                yield from _form_columns(source)
        elif field.field_type == "checkbox":
            yield from _checkbox_columns(field, tuple(group), options)
        else:
            for source in group:
                if source.kind == "value":
                    yield from _field_columns(project, field, source, options)


def describe_column(field: DictionaryField | None, source: ExportColumn) -> str:
    """What an export column holds, for a person; may hold the HTML of the field's label."""
    if field is None:
        return _OF_NO_FIELD.get(source.kind, "")
    if source.kind == "missing_code_checkbox":
        return f"{field.label}: missing, code {source.choice_code}"
    if source.kind == "checkbox":
        labels = {choice.code: choice.label for choice in field.choices}
        return f"{field.label}: {labels.get(source.choice_code or '', source.choice_code)}"
    return field.label


def distinct_labels(choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """Choices whose labels can be told apart: where two are equal, or one is blank, by the code.

    Examples:
        >>> distinct_labels([Choice("1", "Other"), Choice("2", "Other"), Choice("3", "")])
        (Choice(code='1', label='Other (1)'), Choice(code='2', label='Other (2)'), \
Choice(code='3', label='3'))
    """
    labels = [choice.label or choice.code for choice in choices]
    while len(set(labels)) < len(labels):
        uses = Counter(labels)
        # Again, because a label may read as another does with its code.
        labels = [
            f"{label} ({choice.code})" if uses[label] > 1 else label
            for label, choice in zip(labels, choices, strict=True)
        ]
    pairs = zip(choices, labels, strict=True)
    return tuple(Choice(choice.code, label) for choice, label in pairs)


def _form_columns(source: ExportColumn) -> Iterator[TableColumn]:
    """Columns of the form itself: its status, and when it was completed as a survey."""
    description = describe_column(None, source)
    if source.kind == "form_status":
        yield TableColumn(
            source.name, INTEGER, "form_status", description, kind="integer", source=source
        )
    elif source.kind == "survey_timestamp":
        yield TableColumn(
            source.name,
            TIMESTAMP,
            "survey_timestamp",
            description,
            kind="datetime_seconds",
            source=source,
            missing_codes=(NOT_COMPLETED,),
        )
        yield _companion(source, "survey")


def _field_columns(
    project: RedcapProject, field: DictionaryField, source: ExportColumn, options: TableOptions
) -> Iterator[TableColumn]:
    """The column of a field's values, and those that say more about them."""
    kind = value_kind(field)
    labels = distinct_labels(field.choices) if kind == "choice" else ()
    if labels and options.choices == "labels":
        yield _value_column(project, field, source, kind, labels)
    else:
        yield _value_column(project, field, source, kind)
    if labels and options.choices == "both":
        yield _restating(source.name, field, CATEGORY, labels)
    if project.info.missing_data_codes:
        yield _companion(source, "value")


def _value_column(
    project: RedcapProject,
    field: DictionaryField,
    source: ExportColumn,
    kind: ValueKind,
    labels: tuple[Choice, ...] = (),
) -> TableColumn:
    return TableColumn(
        source.name,
        CATEGORY if labels else ARROW_TYPES[kind],
        "choice_label" if labels else "value",
        field.label,
        kind=kind,
        source=source,
        field=field,
        missing_codes=missing_codes_of(project, field),
        choices=labels,
    )


def _checkbox_columns(
    field: DictionaryField,
    sources: tuple[ExportColumn, ...],
    options: TableOptions,
) -> Iterator[TableColumn]:
    if options.checkboxes == "columns":
        for source in sources:
            description = describe_column(field, source)
            yield TableColumn(
                source.name,
                BOOLEAN,
                "checkbox",
                description,
                kind="boolean",
                source=source,
                field=field,
            )
        return
    ticked = tuple(source for source in sources if source.kind == "checkbox")
    missing = tuple(source for source in sources if source.kind == "missing_code_checkbox")
    codes = _codes(ticked)
    labels = distinct_labels(field.choices)
    shown = labels if options.choices == "labels" else codes
    if ticked:  # a checkbox may have lost all its choices, and the codes are there
        yield _list_column(field.name, field, "checkbox_list", ticked, shown)
    if ticked and options.choices == "both":
        yield _restating(field.name, field, TEXT_LIST, labels)
    if missing:
        name = companion_name(field.name)
        yield _list_column(name, field, "missing_code", missing, _codes(missing))


def _codes(sources: Sequence[ExportColumn]) -> tuple[Choice, ...]:
    codes = [source.choice_code or "" for source in sources]
    return tuple(Choice(code, code) for code in codes)


def _list_column(
    name: str,
    field: DictionaryField,
    role: ColumnRole,
    sources: tuple[ExportColumn, ...],
    choices: tuple[Choice, ...],
) -> TableColumn:
    what = "missing data codes" if role == "missing_code" else "ticked choices"
    return TableColumn(
        name,
        TEXT_LIST,
        role,
        f"{field.label}: {what}",
        kind="boolean",
        field=field,
        choices=choices,
        choice_sources=sources,
    )


def _restating(
    name: str, field: DictionaryField, arrow_type: pa.DataType, labels: tuple[Choice, ...]
) -> TableColumn:
    return TableColumn(
        label_name(name),
        arrow_type,
        "choice_label",
        f"{field.label}: labels of {name}",
        field=field,
        choices=labels,
        restates=name,
    )


def missing_codes_of(project: RedcapProject, field: DictionaryField) -> tuple[str, ...]:
    """The project's missing data codes; a choice of the field's own that equals one wins."""
    own = (
        {choice.code for choice in field.choices}
        if field.field_type in _FIELD_TYPES_WITH_CHOICES
        else set()
    )
    return tuple(item.code for item in project.info.missing_data_codes if item.code not in own)


def _companion(source: ExportColumn, what: str) -> TableColumn:
    return TableColumn(
        companion_name(source.name),
        TEXT,
        "missing_code",
        f"Code that says why the {what} is missing",
        source=source,
    )
