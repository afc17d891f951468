"""From a study's design to the tables it becomes. Pure: no data, no files.

One table per instrument, in dictionary order. `docs/tables.md` says what each column means.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from redcap_dagster.errors import DesignError
from redcap_dagster.project import (
    ExportColumn,
    Instrument,
    RedcapProject,
    plan_export_columns,
)
from redcap_dagster.tables.arrow_types import INTEGER, TEXT
from redcap_dagster.tables.flat_tables import plan_missing_reasons_table
from redcap_dagster.tables.names import table_name
from redcap_dagster.tables.options import DEFAULT_TABLE_OPTIONS, TableOptions
from redcap_dagster.tables.spec import (
    ColumnRole,
    Placement,
    RowKind,
    TableColumn,
    TableSpec,
    TableStructure,
)
from redcap_dagster.tables.value_columns import plan_value_columns


def plan_tables(
    project: RedcapProject,
    instruments: Sequence[str] | None = None,
    *,
    options: TableOptions = DEFAULT_TABLE_OPTIONS,
) -> tuple[TableSpec, ...]:
    """Plan one table per instrument.

    Args:
        project: The study's design.
        instruments: Unique names of the instruments to plan for; None for all of them.
        options: How choices and checkboxes are shown, and whether blanks get reasons.

    Returns:
        In dictionary order, whatever the order of `instruments`. Where reasons are asked for, the
        table `missing_reasons` comes last.

    Raises:
        DesignError: An unknown instrument, or two columns or tables of one name.
    """
    columns: dict[str, list[ExportColumn]] = defaultdict(list)
    for column in plan_export_columns(project, instruments):
        if column.instrument is not None:
            columns[column.instrument].append(column)
    chosen = set(project.instruments_by_name if instruments is None else instruments)
    specs = tuple(
        _plan_table(project, item, columns[item.name], options)
        for item in project.instruments
        if item.name in chosen
    )
    _refuse_shared_table_names(project)
    return (*specs, plan_missing_reasons_table(project)) if options.missing_reasons else specs


def _plan_table(
    project: RedcapProject,
    instrument: Instrument,
    sources: Sequence[ExportColumn],
    options: TableOptions,
) -> TableSpec:
    placements = tuple(_placements(project, instrument.name))
    kinds = {placement.row_kind for placement in placements}
    key = tuple(_key_columns(project, kinds))
    columns = (
        *key,
        *_attribute_columns(project),
        *plan_value_columns(project, sources, options),
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
