"""Columns of a record export that came back without rows, and so without a header. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redcap_dagster.api.records import RecordOptions
from redcap_dagster.api.row_checks import EVENT, REPEAT_INSTANCE, REPEAT_INSTRUMENT

Row = Mapping[str, Any]


def can_plan_columns(options: RecordOptions) -> bool:
    """Whether columns can be known before there are rows: label and combined ones cannot."""
    has_labels = options.get("raw_or_label_headers") == "label"
    return not (has_labels or options.get("combine_checkbox_options"))


def plan_record_columns(
    options: RecordOptions,
    info: Row,
    metadata: Sequence[Row],
    field_names: Sequence[Row],
) -> tuple[str, ...]:
    """The columns that the export would have with rows.

    Survey timestamps are left out, as nothing says which instruments are surveys.

    Args:
        options: What was asked; such that `can_plan_columns`.
        info: What `project` answers.
        metadata: The whole data dictionary.
        field_names: What `exportFieldNames` answers.

    Returns:
        Columns in REDCap's order.
    """
    keys = _key_columns(info)
    if options.get("record_type") == "eav":
        return ("record", *keys, "field_name", "value")
    record_id = metadata[0]["field_name"]
    columns = list(dict.fromkeys(_value_columns(options, metadata, field_names)))
    if record_id not in columns:
        return tuple(columns)
    columns.remove(record_id)
    return (record_id, *keys, *_flag_columns(options, info), *columns)


def _key_columns(info: Row) -> list[str]:
    event = [EVENT] if _is_on(info, "is_longitudinal") else []
    repeats = _is_on(info, "has_repeating_instruments_or_events")
    return [*event, *([REPEAT_INSTRUMENT, REPEAT_INSTANCE] if repeats else [])]


def _flag_columns(options: RecordOptions, info: Row) -> Iterator[str]:
    if options.get("export_data_access_groups"):
        yield "redcap_data_access_group"
    if options.get("export_survey_fields") and _is_on(info, "surveys_enabled"):
        yield "redcap_survey_identifier"


def _is_on(info: Row, flag: str) -> bool:
    return bool(int(info.get(flag) or 0))


def _value_columns(
    options: RecordOptions, metadata: Sequence[Row], field_names: Sequence[Row]
) -> Iterator[str]:
    fields, forms = options.get("fields"), options.get("forms")
    asks_all = fields is None and forms is None
    exported: dict[str, list[str]] = {}
    for row in field_names:
        exported.setdefault(row["original_field_name"], []).append(row["export_field_name"])
    for form in dict.fromkeys(row["form_name"] for row in metadata):
        asks_form = asks_all or form in (forms or ())
        for row in metadata:
            name = row["field_name"]
            if row["form_name"] != form or row["field_type"] == "descriptive":
                continue
            if asks_form or name in (fields or ()):
                # File fields are exported, but not listed among the field names.
                yield from exported.get(name, [name])
        if asks_form or f"{form}_complete" in (fields or ()):
            yield f"{form}_complete"
