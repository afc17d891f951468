"""The list methods of REDCap's API, which only read, once for every kind of result.

Each method is named `export_` and REDCap's word. What differs between dicts, frames and text is
the reader behind it, so the methods stand here once (`client.RedcapClient` gives them in dicts,
`client.frames` in frames, `client.csv`, `client.json` and `client.xml` as text).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Generic, Literal

from redcap_dagster.api import columns, messages
from redcap_dagster.api.call import Call, Need
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.lookup import Lookup
from redcap_dagster.api.options import one_of
from redcap_dagster.api.parameters import Names, Value, build_pairs, filled, names
from redcap_dagster.api.readers import Reader, Rows
from redcap_dagster.api.sender import Sender
from redcap_dagster.errors import RequestRejectedError

LogType = Literal[
    "export",
    "manage",
    "user",
    "record",
    "record_add",
    "record_edit",
    "record_delete",
    "lock_record",
    "page_view",
]
FILE_REPOSITORY = Need("the file repository", "13.1.0")
_LOG_TYPES: tuple[LogType, ...] = (
    "export",
    "manage",
    "user",
    "record",
    "record_add",
    "record_edit",
    "record_delete",
    "lock_record",
    "page_view",
)


class ListExports(Generic[Rows]):
    """List methods whose result is `Rows`. Safe to use from several threads.

    Every method raises `ApiError` when REDCap refused, or no answer could be believed; it never
    returns a part. Column names, their order and values are REDCap's.
    """

    def __init__(self, sender: Sender, reader: Reader[Rows]) -> None:
        self._sender = sender
        self._reader = reader
        self._lookup = Lookup(sender)

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
        return self._list("exportFieldNames", {"field": filled("field", field)})

    def export_instruments(self) -> Rows:
        """Instruments: `instrument_name`, `instrument_label`, in dictionary order."""
        return self._list("instrument")

    def export_arms(self, arms: Sequence[int] | None = None) -> Rows:
        """Arms that have an event: `arm_num`, `name`. No rows in a classic project.

        Args:
            arms: Arm numbers; None for all.
        """
        return self._list(
            "arm",
            {"arms": names("arms", arms)},
            columns=columns.ARMS,
            none_message=messages.NO_ARMS,
        )

    def export_events(self, arms: Sequence[int] | None = None) -> Rows:
        """Events, in the project's order. No rows in a classic project.

        Args:
            arms: Arm numbers; None for all.
        """
        return self._list(
            "event",
            {"arms": names("arms", arms)},
            columns=columns.EVENTS,
            none_message=messages.NO_EVENTS,
        )

    def export_form_event_mappings(self, arms: Sequence[int] | None = None) -> Rows:
        """Which instrument is used in which event. No rows in a classic project.

        Args:
            arms: Arm numbers; None for all.
        """
        return self._list(
            "formEventMapping",
            {"arms": names("arms", arms)},
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

    def export_logging(
        self,
        *,
        log_type: LogType | None = None,
        user: str | None = None,
        record: str | None = None,
        data_access_group: str | None = None,
        begin_time: datetime | str | None = None,
        end_time: datetime | str | None = None,
    ) -> Rows:
        """The project's log, newest first: `timestamp`, `username`, `action`, `details`, `record`.

        Times are the server's local time, to the minute. `details` holds values of participants.
        The token's user needs the Logging right.

        Args:
            log_type: One kind of entries; None for all but page views.
            user: One user's entries.
            record: One record's entries.
            data_access_group: Entries of one group's records.
            begin_time: Entries from this minute on.
            end_time: Entries up to this minute.
        """
        if log_type is not None:
            one_of("log_type", log_type, _LOG_TYPES)
        return self._list(
            "log",
            {
                "logtype": log_type,
                "user": filled("user", user),
                "record": filled("record", record),
                "dag": filled("data_access_group", data_access_group),
                "beginTime": _minute(begin_time),
                "endTime": _minute(end_time),
            },
            columns=columns.LOGGING,
        )

    def export_survey_participants(self, instrument: str, event: str | None = None) -> Rows:
        """Participants of a survey: address, invitation, response, access code and link.

        Args:
            instrument: Name of the survey's instrument.
            event: Unique event name, in a longitudinal project.
        """
        parameters = {"instrument": instrument, "event": event}
        return self._list("participantList", parameters, columns=columns.SURVEY_PARTICIPANTS)

    def export_file_repository(self, folder_id: int | None = None) -> Rows:
        """One folder of the file repository: its folders (`folder_id`), then files (`doc_id`).

        REDCap 13.1 and later.

        Args:
            folder_id: Number of the folder; None for the top.
        """
        return self._list(
            "fileRepository",
            {"action": "list", "folder_id": folder_id},
            columns=columns.FILE_REPOSITORY,
            may_be_nothing=True,
            needs=(FILE_REPOSITORY,),
        )

    def _list(
        self,
        content: str,
        parameters: Mapping[str, Value] | None = None,
        *,
        columns: Sequence[str] = (),
        none_message: str | None = None,
        ends_with_newline: bool = False,
        may_be_nothing: bool = False,
        needs: tuple[Need, ...] = (),
    ) -> Rows:
        """Call a list method.

        Args:
            content: REDCap's name of the method.
            parameters: REDCap's parameter names to values.
            columns: Columns of an answer that names none; () when the method always has rows.
            none_message: REDCap's refusal that means "this project has none of these".
            ends_with_newline: Whether REDCap ends this csv with a line break.
            may_be_nothing: Whether an answer without rows has no body at all.
            needs: What older servers do not know.
        """
        is_csv = self._reader.wire_format == "csv"
        call = Call(
            content=content,
            wire_format=self._reader.wire_format,
            parameters=build_pairs(parameters or {}),
            may_be_blank=is_csv and bool(columns),
            may_be_nothing=may_be_nothing,
            ends_with_newline=is_csv and ends_with_newline,
            needs=needs,
        )
        try:
            return self._send(call, columns)
        except RequestRejectedError as error:
            if none_message is None or error.server_message.rstrip(".") != none_message:
                raise
        return self._reader.empty(columns)

    def _send(self, call: Call, columns: Sequence[str] = ()) -> Rows:
        def read(body: bytes) -> Rows | Failure:
            if call.may_be_nothing and not body.strip():
                return self._reader.empty(columns)
            return self._reader.read(body, call, columns)

        return self._sender.send(call, read)


def _minute(value: datetime | str | None) -> datetime | str | None:
    """A time as the log reads it: it knows no seconds."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.strftime("%Y-%m-%d %H:%M")
    return value
