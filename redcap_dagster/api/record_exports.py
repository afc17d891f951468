"""Exports of records and reports, once for every kind of result."""

from collections.abc import Iterator
from datetime import datetime

from typing_extensions import Unpack

from redcap_dagster.api.batches import DEFAULT_BATCH_SIZE, read_record_ids, split_batches
from redcap_dagster.api.call import Call
from redcap_dagster.api.exports import ListExports
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.options import DELIMITERS, delimiter_word, one_of
from redcap_dagster.api.parameters import Names, Value, build_pairs, names
from redcap_dagster.api.readers import Rows
from redcap_dagster.api.record_columns import can_plan_columns, plan_record_columns
from redcap_dagster.api.records import (
    CsvDelimiter,
    DecimalCharacter,
    RawOrLabel,
    RecordOptions,
    RecordType,
    record_call,
)
from redcap_dagster.api.row_checks import RecordCheck


class Exports(ListExports[Rows]):
    """List methods and record exports whose result is `Rows`. Safe to use from several threads."""

    def export_records(
        self,
        *,
        records: Names = None,
        fields: Names = None,
        forms: Names = None,
        events: Names = None,
        raw_or_label: RawOrLabel = "raw",
        raw_or_label_headers: RawOrLabel = "raw",
        export_checkbox_label: bool = False,
        export_survey_fields: bool = False,
        export_data_access_groups: bool = False,
        filter_logic: str | None = None,
        date_range_begin: datetime | str | None = None,
        date_range_end: datetime | str | None = None,
        csv_delimiter: CsvDelimiter = ",",
        decimal_character: DecimalCharacter | None = None,
        export_blank_for_gray_form_status: bool = False,
        combine_checkbox_options: bool = False,
        record_type: RecordType = "flat",
    ) -> Rows:
        """Records, in one request and in memory; `iter_records` takes big projects.

        The parameters are those of `redcap_dagster.api.records.RecordOptions`, documented there.
        An answer without rows names no columns: for a frame or a csv they are then asked for in
        three small requests more. Fields, records and row keys are compared with what was asked
        as far as the answer tells them; those of an answer in XML are not.

        Raises:
            ApiError: REDCap refused, or no answer could be believed.
            ConfigError: An option that REDCap has not, or would read as something else: an empty
                list would mean "all".
        """
        options = RecordOptions(
            records=records,
            fields=fields,
            forms=forms,
            events=events,
            raw_or_label=raw_or_label,
            raw_or_label_headers=raw_or_label_headers,
            export_checkbox_label=export_checkbox_label,
            export_survey_fields=export_survey_fields,
            export_data_access_groups=export_data_access_groups,
            filter_logic=filter_logic,
            date_range_begin=date_range_begin,
            date_range_end=date_range_end,
            csv_delimiter=csv_delimiter,
            decimal_character=decimal_character,
            export_blank_for_gray_form_status=export_blank_for_gray_form_status,
            combine_checkbox_options=combine_checkbox_options,
            record_type=record_type,
        )
        return self._export_records(options)

    def iter_records(
        self, *, batch_size: int = DEFAULT_BATCH_SIZE, **options: Unpack[RecordOptions]
    ) -> Iterator[Rows]:
        """Records of a project of any size, batch by batch, whole records at a time.

        The ids are asked for first, unless `records` names them, with the same events, filter and
        dates; then the records of `batch_size` ids in each request. The record id field is added
        to `fields` and `forms`, since rows without it could not be told apart.

        Args:
            batch_size: Record ids in one request; at most 900, as PHP drops form fields beyond
                its limit, which is 1,000 by default.
            **options: See `RecordOptions`.

        Yields:
            Rows of one batch, in REDCap's order. Nothing when there are no records.

        Raises:
            ApiError: REDCap refused, no answer could be believed, a record that was listed did not
                come (XML is not looked at for that), or the record ids are hashed for the token's
                user. Batches that were handed out before stay good.
            ConfigError: An option cannot be sent.
        """
        record_id_field = self._lookup.record_id_field()
        record_ids = names("records", options.get("records"))
        is_listed = record_ids is None
        if record_ids is None:
            record_ids = read_record_ids(self._lookup, options, record_id_field)
        fields, forms = options.get("fields"), options.get("forms")
        if fields is not None or forms is not None:
            fields = list(dict.fromkeys([record_id_field, *(names("fields", fields) or ())]))
        # Records that the caller names, or asks a part of, may rightly have no row.
        is_complete = is_listed and fields is None and options.get("events") is None
        for batch in split_batches(list(record_ids), batch_size):
            asked: RecordOptions = {**options, "records": batch, "fields": fields}
            yield self._export_records(asked, record_id_field, is_complete=is_complete)

    def export_report(
        self,
        report_id: int | str,
        *,
        raw_or_label: RawOrLabel = "raw",
        raw_or_label_headers: RawOrLabel = "raw",
        export_checkbox_label: bool = False,
        csv_delimiter: CsvDelimiter = ",",
        decimal_character: DecimalCharacter | None = None,
    ) -> Rows:
        """A saved report: its own columns, order and filters.

        The report's settings change values too: it may flatten line breaks and combine checkboxes.

        Args:
            report_id: The number that REDCap shows beside the report.
            raw_or_label: Codes of choices, or their labels.
            raw_or_label_headers: csv headers are names, or labels. csv and frames only.
            export_checkbox_label: Label of a checked choice instead of `Checked`. Labels only.
            csv_delimiter: Between cells of csv and of frames.
            decimal_character: Force `,` or `.` in numbers; None leaves each field its own.
        """
        delimiter = delimiter_word(csv_delimiter)
        headers = one_of("raw_or_label_headers", raw_or_label_headers, ("raw", "label"))
        values: dict[str, Value] = {
            "report_id": str(report_id),
            "rawOrLabel": one_of("raw_or_label", raw_or_label, ("raw", "label")),
            "rawOrLabelHeaders": headers,
            "exportCheckboxLabel": export_checkbox_label,
            "csvDelimiter": None if delimiter == "," else delimiter,
            "decimalCharacter": decimal_character,
        }
        is_csv = self._reader.wire_format == "csv"
        return self._send(
            Call(
                content="report",
                wire_format=self._reader.wire_format,
                parameters=build_pairs(values),
                may_be_blank=is_csv,
                ends_with_newline=is_csv,
                has_label_headers=is_csv and headers == "label",
                csv_delimiter=DELIMITERS[delimiter],
            )
        )

    def _export_records(
        self,
        options: RecordOptions,
        record_id_field: str | None = None,
        *,
        is_complete: bool = False,
    ) -> Rows:
        call = record_call(options, self._reader.wire_format)
        check = RecordCheck(
            options, self._lookup.field_types, record_id_field, is_complete=is_complete
        )

        def read(body: bytes) -> Rows | Failure:
            if call.wire_format == "csv" and not body.strip():
                fault = check.without_rows()
                return fault or self._reader.empty(self._plan_columns(options))
            return self._reader.read(body, call, (), check)

        return self._sender.send(call, read)

    def _plan_columns(self, options: RecordOptions) -> tuple[str, ...]:
        if not can_plan_columns(options):
            return ()
        metadata = self._lookup.metadata()
        field_names = self._lookup.rows(
            "exportFieldNames", ["original_field_name", "export_field_name"]
        )
        return plan_record_columns(options, self._lookup.project_info(), metadata, field_names)
