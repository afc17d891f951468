"""What can be asked of a record export, and the call that asks it."""

from datetime import datetime
from typing import Literal, TypedDict

from redcap_dagster.api.call import Call, Need, WireFormat
from redcap_dagster.api.options import DELIMITERS, delimiter_word, one_of
from redcap_dagster.api.parameters import Names, Value, build_pairs, filled, names

CsvDelimiter = Literal[",", "tab", "\t", ";", "|", "^"]
DecimalCharacter = Literal[",", "."]
RawOrLabel = Literal["raw", "label"]
RecordType = Literal["flat", "eav"]


class RecordOptions(TypedDict, total=False):
    """Parameters of REDCap's record export, each off or "all" when left out.

    Attributes:
        records: Record ids; None for all. Unknown ids are not returned.
        fields: Field names; None for all. REDCap gives the record id, and with it event and
            repeat columns, only when the record id field is asked for, or nothing is.
        forms: Instrument names; joined with `fields` by "or".
        events: Unique event names; longitudinal projects only.
        raw_or_label: Codes of choices, or their labels.
        raw_or_label_headers: csv headers are names, or labels. Flat csv and frames only.
        export_checkbox_label: Label of a checked choice instead of `Checked`. Flat labels only.
        export_survey_fields: Add survey identifier and time stamps.
        export_data_access_groups: Add `redcap_data_access_group`. REDCap ignores it when the
            token's user is in a group.
        filter_logic: REDCap logic; only rows for which it holds.
        date_range_begin: Only records created or changed after this, in the server's local time.
        date_range_end: Only records created or changed before this.
        csv_delimiter: Between cells of csv and of frames.
        decimal_character: Force `,` or `.` in numbers; None leaves each field its own.
        export_blank_for_gray_form_status: Blank instead of 0 for the status of a form that was
            never saved.
        combine_checkbox_options: One column per checkbox field. REDCap 16.1 and later.
        record_type: One row per record, event and instance (`flat`), or per value (`eav`).
    """

    records: Names
    fields: Names
    forms: Names
    events: Names
    raw_or_label: RawOrLabel
    raw_or_label_headers: RawOrLabel
    export_checkbox_label: bool
    export_survey_fields: bool
    export_data_access_groups: bool
    filter_logic: str | None
    date_range_begin: datetime | str | None
    date_range_end: datetime | str | None
    csv_delimiter: CsvDelimiter
    decimal_character: DecimalCharacter | None
    export_blank_for_gray_form_status: bool
    combine_checkbox_options: bool
    record_type: RecordType


_RAW_OR_LABEL = ("raw", "label")

_COMMA = ("csvDelimiter", ",")

# First versions (docs/sources.md#versions). Older servers would ignore the parameter silently.
_SINCE = {
    "csvDelimiter": Need("`csv_delimiter`", "9.0.0"),
    "decimalCharacter": Need("`decimal_character`", "9.0.0"),
    "dateRangeBegin": Need("`date_range_begin`", "10.0.0"),
    "dateRangeEnd": Need("`date_range_end`", "10.0.0"),
    "combineCheckboxOptions": Need("`combine_checkbox_options`", "16.1.0"),
}


def record_call(options: RecordOptions, wire_format: WireFormat) -> Call:
    """The call of a record export.

    Raises:
        ConfigError: An option that REDCap has not, or that it would read as something else.
    """
    delimiter = delimiter_word(options.get("csv_delimiter", ","))
    headers = one_of(
        "raw_or_label_headers", options.get("raw_or_label_headers", "raw"), _RAW_OR_LABEL
    )
    values: dict[str, Value] = {
        "type": one_of("record_type", options.get("record_type", "flat"), ("flat", "eav")),
        "fields": names("fields", options.get("fields")),
        "forms": names("forms", options.get("forms")),
        "events": names("events", options.get("events")),
        "rawOrLabel": one_of("raw_or_label", options.get("raw_or_label", "raw"), _RAW_OR_LABEL),
        "rawOrLabelHeaders": headers,
        "exportCheckboxLabel": options.get("export_checkbox_label"),
        "exportSurveyFields": options.get("export_survey_fields"),
        "exportDataAccessGroups": options.get("export_data_access_groups"),
        "filterLogic": filled("filter_logic", options.get("filter_logic")),
        "dateRangeBegin": options.get("date_range_begin"),
        "dateRangeEnd": options.get("date_range_end"),
        "csvDelimiter": delimiter,
        "decimalCharacter": _decimal_character(options.get("decimal_character")),
        "exportBlankForGrayFormStatus": options.get("export_blank_for_gray_form_status"),
        "combineCheckboxOptions": options.get("combine_checkbox_options"),
        # Last: PHP drops form fields beyond its `max_input_vars`, and records that lack are seen.
        "records": names("records", options.get("records")),
    }
    is_csv = wire_format == "csv"
    # `,` is what every version writes anyway.
    used = {name for name, value in values.items() if value and (name, value) != _COMMA}
    return Call(
        content="record",
        wire_format=wire_format,
        parameters=build_pairs(values),
        needs=tuple(need for name, need in _SINCE.items() if name in used),
        may_be_blank=is_csv,
        ends_with_newline=is_csv,
        has_label_headers=is_csv and headers == "label",
        csv_delimiter=DELIMITERS[delimiter],
    )


def _decimal_character(value: str | None) -> str | None:
    return None if value is None else one_of("decimal_character", value, (",", "."))
