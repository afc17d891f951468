"""From a study's design to the columns of its flat raw export."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from redcap_dagster.errors import DesignError
from redcap_dagster.project.contradictions import join_names
from redcap_dagster.project.model import DictionaryField, Instrument, RedcapProject

ColumnKind = Literal[
    "record_id",
    "event",
    "repeat_instrument",
    "repeat_instance",
    "data_access_group",
    "survey_identifier",
    "survey_timestamp",
    "value",
    "checkbox",
    "missing_code_checkbox",
    "form_status",
]


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One column of a flat raw export.

    Attributes:
        name: Header of the column.
        kind: What the column holds.
        instrument: Unique name of the instrument it belongs to; None for columns of the whole row.
        field: Name of the dictionary field it holds, or None.
        choice_code: Code of the choice, or missing data code, of a checkbox column; else None.
        is_optional: Whether a server may leave the column out: missing-code checkboxes (servers
            differ), survey columns (the dictionary does not say which instruments are surveys) and
            the data access group (no groups, or the user is inside one).
    """

    name: str
    kind: ColumnKind
    instrument: str | None = None
    field: str | None = None
    choice_code: str | None = None
    is_optional: bool = False


def plan_export_columns(
    project: RedcapProject, instruments: Collection[str] | None = None
) -> tuple[ExportColumn, ...]:
    """Plan the columns of a flat raw export, in the order in which REDCap sends them.

    The export is one that asks for survey fields and data access groups. Survey columns are
    planned only where surveys are enabled.

    Args:
        project: The study's design.
        instruments: Unique names of the instruments asked for, in any order; None for all. The
            columns of the whole row, the record id among them, are always there.

    Raises:
        DesignError: An instrument is not in the project, or two columns would have one name
            (checkbox codes such as `A` and `a`).
    """
    wanted = project.instruments_by_name.keys() if instruments is None else set(instruments)
    unknown = sorted(wanted - project.instruments_by_name.keys())
    if unknown:
        raise DesignError(
            f"The project has no instrument {join_names(unknown)}.", instrument=unknown[0]
        )
    columns = list(_row_columns(project))
    for instrument in project.instruments:
        if instrument.name in wanted:
            columns.extend(_instrument_columns(project, instrument))
    _refuse_collisions(columns)
    return tuple(columns)


def checkbox_column_name(field_name: str, code: str) -> str:
    """Name of the export column of one choice: `race` and `-9` make `race____9`.

    The code is lower-cased and each character but letter, digit and underscore becomes `_`, so
    the way back does not exist.
    """
    return f"{field_name}___{re.sub('[^a-z0-9_]', '_', code.lower())}"


def form_status_column_name(instrument: str) -> str:
    """Name of the export column that holds an instrument's form status."""
    return f"{instrument}_complete"


def _row_columns(project: RedcapProject) -> Iterator[ExportColumn]:
    record_id = next(project.iter_fields())
    yield ExportColumn(record_id.name, "record_id", record_id.instrument, record_id.name)
    if project.info.is_longitudinal:
        yield ExportColumn("redcap_event_name", "event")
    if project.repeats:
        yield ExportColumn("redcap_repeat_instrument", "repeat_instrument")
        yield ExportColumn("redcap_repeat_instance", "repeat_instance")
    yield ExportColumn("redcap_data_access_group", "data_access_group", is_optional=True)
    if project.info.surveys_enabled:
        yield ExportColumn("redcap_survey_identifier", "survey_identifier", is_optional=True)


def _instrument_columns(project: RedcapProject, instrument: Instrument) -> Iterator[ExportColumn]:
    timestamp = f"{instrument.name}_timestamp"
    # Where a field has that name, the column is the field's.
    if project.info.surveys_enabled and timestamp not in project.fields_by_name:
        yield ExportColumn(timestamp, "survey_timestamp", instrument.name, is_optional=True)
    for field in instrument.fields:
        if field.field_type == "checkbox":
            yield from _checkbox_columns(project, field)
        elif field.field_type != "descriptive" and field.name != project.record_id_field:
            yield ExportColumn(field.name, "value", field.instrument, field.name)
    yield ExportColumn(form_status_column_name(instrument.name), "form_status", instrument.name)


def _checkbox_columns(project: RedcapProject, field: DictionaryField) -> Iterator[ExportColumn]:
    choice_names = set()
    for choice in field.choices:
        name = checkbox_column_name(field.name, choice.code)
        choice_names.add(name)
        yield ExportColumn(name, "checkbox", field.instrument, field.name, choice.code)
    for missing in project.info.missing_data_codes:
        name = checkbox_column_name(field.name, missing.code)
        # A field may offer a missing data code as a choice of its own: one column, the choice's.
        if name not in choice_names:
            yield ExportColumn(
                name,
                "missing_code_checkbox",
                field.instrument,
                field.name,
                missing.code,
                is_optional=True,
            )


def _refuse_collisions(columns: list[ExportColumn]) -> None:
    taken = Counter(column.name for column in columns)
    collided = [column for column in columns if taken[column.name] > 1]
    if not collided:
        return
    names = dict.fromkeys(column.name for column in collided)
    fields = dict.fromkeys(column.field for column in collided if column.field)
    raise DesignError(
        f"{len(names)} export columns would be there twice: {join_names(names)} of the fields "
        f"{join_names(fields)}. {_remedy(collided)}",
        instrument=collided[0].instrument or "",
        field=collided[0].field or "",
    )


def _remedy(collided: Collection[ExportColumn]) -> str:
    if any(column.kind == "form_status" for column in collided):
        return "A field has the name of an instrument's form status: give it another name."
    return (
        "Choice codes that differ only in case or in signs share a column: give one of the "
        "choices another code."
    )
