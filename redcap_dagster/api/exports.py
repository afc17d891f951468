"""The read-only list methods of REDCap's API, once for every kind of result.

Each method is named `export_` and REDCap's word. What differs between dicts, frames and text is
the reader behind it, so the methods stand here once (`client.RedcapClient` gives them in dicts,
`client.frames` in frames, `client.csv`, `client.json` and `client.xml` as text).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Generic

from redcap_dagster.api import columns, messages
from redcap_dagster.api.call import Call
from redcap_dagster.api.parameters import Names, Value, build_pairs, names
from redcap_dagster.api.readers import Reader, Rows
from redcap_dagster.api.records import (
    CsvDelimiter,
    DecimalCharacter,
    RawOrLabel,
    RecordOptions,
    RecordType,
    record_call,
)
from redcap_dagster.api.sender import Sender
from redcap_dagster.errors import RequestRejectedError


class Exports(Generic[Rows]):
    """List methods whose result is `Rows`. Safe to use from several threads.

    Every method raises `ApiError` when REDCap refused, or no answer could be believed; it never
    returns a part. Column names, their order and values are REDCap's.
    """

    def __init__(self, sender: Sender, reader: Reader[Rows]) -> None:
        self._sender = sender
        self._reader = reader

    def export_metadata(self, fields: Names = None, forms: Names = None) -> Rows:
        """The data dictionary: one row of 18 columns per field, in dictionary order.

        Args:
            fields: Field names; None for all.
            forms: Instrument names; None for all.
        """
        parameters = {"fields": names("fields", fields), "forms": names("forms", forms)}
        return self._list("metadata", parameters, ends_with_newline=True)

    def export_field_names(self, field: str | None = None) -> Rows:
        """The columns that record exports use for each field; one row per checkbox choice.

        File and descriptive fields are not listed; `<form>_complete` columns are.

        Args:
            field: One field's name; None for all.
        """
        return self._list("exportFieldNames", {"field": field})

    def export_instruments(self) -> Rows:
        """Instruments: `instrument_name`, `instrument_label`, in dictionary order."""
        return self._list("instrument")

    def export_arms(self, arms: Sequence[int] | None = None) -> Rows:
        """Arms that have an event: `arm_num`, `name`. No rows in a classic project.

        Args:
            arms: Arm numbers; None for all.
        """
        return self._list(
            "arm", {"arms": arms}, columns=columns.ARMS, none_message=messages.NO_ARMS
        )

    def export_events(self, arms: Sequence[int] | None = None) -> Rows:
        """Events, in the project's order. No rows in a classic project.

        Args:
            arms: Arm numbers; None for all.
        """
        return self._list(
            "event", {"arms": arms}, columns=columns.EVENTS, none_message=messages.NO_EVENTS
        )

    def export_form_event_mappings(self, arms: Sequence[int] | None = None) -> Rows:
        """Which instrument is used in which event. No rows in a classic project.

        Args:
            arms: Arm numbers; None for all.
        """
        return self._list(
            "formEventMapping",
            {"arms": arms},
            columns=columns.FORM_EVENT_MAPPINGS,
            none_message=messages.NO_FORM_EVENT_MAPPINGS,
        )

    def export_repeating_instruments_events(self) -> Rows:
        """What repeats. No rows in a project where nothing does.

        A classic project has no `event_name` column; a blank `form_name` says that the event
        repeats as a whole.
        """
        return self._list(
            "repeatingFormsEvents",
            columns=columns.REPEATING_INSTRUMENTS_EVENTS,
            none_message=messages.NO_REPEATING,
        )

    def export_users(self) -> Rows:
        """Users of the project and their rights."""
        return self._list("user")

    def export_user_roles(self) -> Rows:
        """Roles of the project and their rights."""
        return self._list("userRole", columns=columns.USER_ROLES)

    def export_user_role_mappings(self) -> Rows:
        """The role of each user, blank for none."""
        return self._list("userRoleMapping", columns=columns.USER_ROLE_MAPPINGS)

    def export_data_access_groups(self) -> Rows:
        """Data access groups of the project."""
        return self._list("dag", columns=columns.DATA_ACCESS_GROUPS)

    def export_user_data_access_group_mappings(self) -> Rows:
        """The data access group of each user, blank for none."""
        return self._list("userDagMapping", columns=columns.USER_DATA_ACCESS_GROUPS)

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
        """Records, in one request and in memory; `redcap_dagster.export` takes big projects.

        The parameters are those of `redcap_dagster.api.records.RecordOptions`, documented there.
        An answer without rows names no columns, so a frame of it has none.

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
        return self._send(record_call(options, self._reader.wire_format))

    def _list(
        self,
        content: str,
        parameters: Mapping[str, Value] | None = None,
        *,
        columns: Sequence[str] = (),
        none_message: str | None = None,
        ends_with_newline: bool = False,
    ) -> Rows:
        """Call a list method.

        Args:
            content: REDCap's name of the method.
            parameters: REDCap's parameter names to values.
            columns: Columns of an answer that names none; () when the method always has rows.
            none_message: REDCap's refusal that means "this project has none of these".
            ends_with_newline: Whether REDCap ends this csv with a line break.
        """
        is_csv = self._reader.wire_format == "csv"
        call = Call(
            content=content,
            wire_format=self._reader.wire_format,
            parameters=build_pairs(parameters or {}),
            may_be_blank=is_csv and bool(columns),
            ends_with_newline=is_csv and ends_with_newline,
        )
        try:
            return self._send(call, columns)
        except RequestRejectedError as error:
            if none_message is None or error.server_message.rstrip(".") != none_message:
                raise
        return self._reader.empty(columns)

    def _send(self, call: Call, columns: Sequence[str] = ()) -> Rows:
        return self._sender.send(call, lambda body: self._reader.read(body, call, columns))
