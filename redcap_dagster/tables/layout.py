"""From a study's design to the tables it becomes. Pure: no data, no files.

One table per instrument, in dictionary order. `docs/tables.md` says what each column means.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from redcap_dagster.errors import DesignError
from redcap_dagster.project import (
    DictionaryField,
    ExportColumn,
    Instrument,
    RedcapProject,
    plan_export_columns,
    value_kind,
)
from redcap_dagster.tables.arrow_types import ARROW_TYPES, BOOLEAN, INTEGER, TEXT, TIMESTAMP
from redcap_dagster.tables.spec import (
    ColumnRole,
    Placement,
    RowKind,
    TableColumn,
    TableSpec,
    TableStructure,
)

RECORDS = "records"
"""Name of the table that keeps the flat export as it came."""

REJECTED_VALUES = "rejected_values"
"""Name of the table that lists what fits no typed table."""

STUDY_TABLE_NAMES = frozenset(
    {
        "arms",
        "attachments",
        "audit_log",
        "data_access_groups",
        "events",
        "form_event_mappings",
        "instruments",
        "metadata",
        "project_info",
        "quality_findings",
        RECORDS,
        REJECTED_VALUES,
        "repeating_instruments_events",
        "reports",
        "user_roles",
        "users",
    }
)
"""Names of the tables that belong to the study as a whole."""

NOT_COMPLETED = "[not completed]"
"""What REDCap exports as the timestamp of a survey that was begun and not finished."""

_FIELD_TYPES_WITH_CHOICES = frozenset({"radio", "dropdown", "yesno", "truefalse"})


def table_name(instrument: str) -> str:
    """Name of an instrument's table: its own, unless a table of the study has that name."""
    return f"{instrument}_instrument" if instrument in STUDY_TABLE_NAMES else instrument


def companion_name(column: str) -> str:
    """Name of the column that holds why a value of another column is missing.

    No field can have it: names of fields hold no two underscores in a row.
    """
    return f"{column}__missing"


def plan_tables(
    project: RedcapProject, instruments: Sequence[str] | None = None
) -> tuple[TableSpec, ...]:
    """Plan one table per instrument.

    Args:
        project: The study's design.
        instruments: Unique names of the instruments to plan for; None for all of them.

    Returns:
        In dictionary order, whatever the order of `instruments`.

    Raises:
        DesignError: An unknown instrument, or two columns or tables of one name.
    """
    columns: dict[str, list[ExportColumn]] = defaultdict(list)
    for column in plan_export_columns(project, instruments):
        if column.instrument is not None:
            columns[column.instrument].append(column)
    chosen = set(project.instruments_by_name if instruments is None else instruments)
    specs = tuple(
        _plan_table(project, item, columns[item.name])
        for item in project.instruments
        if item.name in chosen
    )
    _refuse_shared_table_names(project)
    return specs


def plan_records_table(project: RedcapProject) -> TableSpec:
    """Plan the table `records`: the flat export as REDCap sends it, every cell as text.

    Columns in the order of the export. "" is blank; null is a column the server did not send.
    """
    columns = plan_export_columns(project)
    key_kinds = {"record_id", "event", "repeat_instrument", "repeat_instance"}
    return TableSpec(
        name=RECORDS,
        instrument=None,
        label="Records as REDCap sent them",
        structure="flat",
        key_columns=tuple(item.name for item in columns if item.kind in key_kinds),
        columns=tuple(
            TableColumn(
                name=item.name,
                arrow_type=TEXT,
                role="text",
                description=_label(project.fields_by_name.get(item.field or ""), item),
                nullable=item.is_optional,
                source=item,
                field=project.fields_by_name.get(item.field or ""),
            )
            for item in columns
        ),
    )


def plan_rejected_values_table(project: RedcapProject) -> TableSpec:
    """Plan the table `rejected_values`: what fits no typed table, with its raw text.

    The same columns in every project, all text; the first is named as the record id field, unless
    that name is one of the others. It has no key: one cell is one row.
    """
    others = {
        "redcap_event_name": "Unique name of the event; null in a classic project.",
        "redcap_repeat_instrument": "As exported; null where blank.",
        "redcap_repeat_instance": "As exported; null where blank.",
        "instrument": "Unique name of the instrument.",
        "field": "Column of the export that holds the value.",
        "value": "The value as REDCap sent it.",
        "rule": "Why it is in no table: the rule it breaks.",
    }
    record_id = project.record_id_field
    names = {record_id if record_id not in others else "record_id": "Record id.", **others}
    optional = {"redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"}
    return TableSpec(
        name=REJECTED_VALUES,
        instrument=None,
        label="Values that fit no table",
        structure="flat",
        key_columns=(),
        columns=tuple(
            TableColumn(name, TEXT, "text", description, nullable=name in optional)
            for name, description in names.items()
        ),
    )


def _plan_table(
    project: RedcapProject, instrument: Instrument, sources: Sequence[ExportColumn]
) -> TableSpec:
    placements = tuple(_placements(project, instrument.name))
    kinds = {placement.row_kind for placement in placements}
    key = tuple(_key_columns(project, kinds))
    columns = (
        *key,
        *_attribute_columns(project),
        *(column for source in sources for column in _source_columns(project, source)),
    )
    _refuse_shared_column_names(instrument, columns)
    return TableSpec(
        name=table_name(instrument.name),
        instrument=instrument.name,
        label=instrument.label,
        structure=_structure(kinds),
        key_columns=tuple(column.name for column in key),
        columns=columns,
        placements=placements,
        holds_record_id=project.record_id_field in {item.name for item in instrument.fields},
    )


def _placements(project: RedcapProject, instrument: str) -> Iterator[Placement]:
    events: tuple[str | None, ...] = (None,)
    if project.info.is_longitudinal:
        events = project.events_of(instrument)
    for event in events:
        kind: RowKind = "ordinary"
        if project.repeats_as_form(instrument, event):
            kind = "repeating_form"
        elif event is not None and project.event_repeats(event):
            kind = "repeating_event"
        yield Placement(event, kind)


def _structure(kinds: set[RowKind]) -> TableStructure:
    if "repeating_form" not in kinds:
        return "nonrepeating"
    return "repeating" if len(kinds) == 1 else "mixed"


def _key_columns(project: RedcapProject, kinds: set[RowKind]) -> Iterator[TableColumn]:
    record_id = project.record_id_field
    field = project.fields_by_name[record_id]
    yield TableColumn(
        record_id, TEXT, "record_id", field.label or "Record id", nullable=False, field=field
    )
    if project.info.is_longitudinal:
        yield _key("redcap_event_name", "event_name", "Unique name of the event")
    if "repeating_form" in kinds:
        text = "Instance of the repeating form; 1 where the form does not repeat by itself"
        yield _key("redcap_form_instance", "form_instance", text)
    if "repeating_event" in kinds:
        text = "Occurrence of the repeating event; 1 where the event does not repeat"
        yield _key("redcap_event_instance", "event_instance", text)


def _key(name: str, role: ColumnRole, description: str) -> TableColumn:
    arrow_type = TEXT if role == "event_name" else INTEGER
    return TableColumn(name, arrow_type, role, description, nullable=False)


def _attribute_columns(project: RedcapProject) -> Iterator[TableColumn]:
    if project.info.is_longitudinal:
        yield TableColumn("redcap_event_label", TEXT, "event_label", "Name of the event")
        yield TableColumn("redcap_arm_number", INTEGER, "arm_number", "Number of the arm")
        yield TableColumn("redcap_arm_name", TEXT, "arm_name", "Name of the arm")
    yield TableColumn(
        "redcap_data_access_group",
        TEXT,
        "data_access_group",
        "Unique name of the record's data access group; null when it is in none, the project has "
        "none, or the token's user may not see it",
    )
    if project.info.surveys_enabled:
        text = "Identifier of the survey participant"
        yield TableColumn("redcap_survey_identifier", TEXT, "survey_identifier", text)


def _source_columns(project: RedcapProject, source: ExportColumn) -> Iterator[TableColumn]:
    """The columns that one export column becomes: one, or two with a companion."""
    field = project.fields_by_name.get(source.field or "")
    description = _label(field, source)
    if source.kind == "survey_timestamp":
        column = TableColumn(
            source.name,
            TIMESTAMP,
            "survey_timestamp",
            description,
            kind="datetime_seconds",
            source=source,
            missing_codes=(NOT_COMPLETED,),
        )
        yield column
        yield _companion(column, "survey")
    elif source.kind == "form_status":
        yield TableColumn(
            source.name, INTEGER, "form_status", description, kind="integer", source=source
        )
    elif source.kind in {"checkbox", "missing_code_checkbox"}:
        yield TableColumn(
            source.name,
            BOOLEAN,
            "checkbox",
            description,
            kind="boolean",
            source=source,
            field=field,
        )
    elif source.kind == "value" and field is not None:
        yield from _value_columns(project, source, field)


def _value_columns(
    project: RedcapProject, source: ExportColumn, field: DictionaryField
) -> Iterator[TableColumn]:
    kind = value_kind(field)
    column = TableColumn(
        source.name,
        ARROW_TYPES[kind],
        "value",
        _label(field, source),
        kind=kind,
        source=source,
        field=field,
        missing_codes=_missing_codes(project, field),
    )
    yield column
    if project.info.missing_data_codes:
        yield _companion(column, "value")


def _missing_codes(project: RedcapProject, field: DictionaryField) -> tuple[str, ...]:
    """The project's missing data codes; a choice of the field's own that equals one wins."""
    own = (
        {choice.code for choice in field.choices}
        if field.field_type in _FIELD_TYPES_WITH_CHOICES
        else set()
    )
    return tuple(item.code for item in project.info.missing_data_codes if item.code not in own)


def _companion(column: TableColumn, what: str) -> TableColumn:
    return TableColumn(
        companion_name(column.name),
        TEXT,
        "missing_code",
        f"Code that says why the {what} is missing",
        source=column.source,
    )


def _label(field: DictionaryField | None, source: ExportColumn) -> str:
    if source.kind == "form_status":
        return "Form status: 0 incomplete, 1 unverified, 2 complete; null when never opened"
    if source.kind == "survey_timestamp":
        return "When the survey was completed"
    if field is None:
        return ""
    if source.kind == "missing_code_checkbox":
        return f"{field.label}: missing, code {source.choice_code}"
    if source.kind == "checkbox":
        labels = {choice.code: choice.label for choice in field.choices}
        return f"{field.label}: {labels.get(source.choice_code or '', source.choice_code)}"
    return field.label


def _refuse_shared_column_names(instrument: Instrument, columns: Sequence[TableColumn]) -> None:
    shared = _shared(column.name for column in columns)
    if shared:
        raise DesignError(
            f"The table of instrument {instrument.name} would have {len(shared)} columns twice: "
            f"{', '.join(shared)}. Rename the fields in REDCap.",
            instrument=instrument.name,
        )


def _refuse_shared_table_names(project: RedcapProject) -> None:
    shared = _shared(table_name(item.name) for item in project.instruments)
    if shared:
        raise DesignError(
            f"{len(shared)} tables would have the same name: {', '.join(shared)}. Rename the "
            "instruments in REDCap."
        )


def _shared(names: Iterator[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
