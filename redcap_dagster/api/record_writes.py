"""Methods that change records."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from redcap_dagster.api.call import Call, Need
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.options import DELIMITERS, delimiter_word, one_of
from redcap_dagster.api.parameters import Names, Value, build_pairs, filled, some_names
from redcap_dagster.api.payload import Data, DataFormat, build_payload
from redcap_dagster.api.readers import Row
from redcap_dagster.api.records import CsvDelimiter, RecordType
from redcap_dagster.api.writes import Writes, import_call, read_count, read_small_json
from redcap_dagster.errors import ConfigError

OverwriteBehavior = Literal["normal", "overwrite"]
DateFormat = Literal["YMD", "MDY", "DMY"]
ReturnContent = Literal["count", "ids", "auto_ids", "nothing"]

_BACKGROUND = Need("`background_process`", "14.0.0")
_RANDOMIZE = Need("`randomize_record`", "14.7.0")


@dataclass(frozen=True, slots=True)
class ImportedRecords:
    """What REDCap says of a record import that it took.

    Attributes:
        count: Records touched, not rows; None when it was not asked for.
        record_ids: Their ids, for `return_content="ids"` and "auto_ids"; else empty.
        auto_ids: New id of each id given, for `return_content="auto_ids"`; else empty.
        in_background: Whether the import was only accepted, and goes on in the background.
    """

    count: int | None = None
    record_ids: tuple[str, ...] = field(default=(), repr=False)
    auto_ids: dict[str, str] = field(default_factory=dict, repr=False)
    in_background: bool = False


class RecordWrites(Writes):
    """Imports, deletions and changes of records. See `Writes` for when a call is sent again."""

    def import_records(
        self,
        data: Data,
        data_format: DataFormat | None = None,
        *,
        overwrite_behavior: OverwriteBehavior = "normal",
        date_format: DateFormat = "YMD",
        return_content: ReturnContent = "count",
        force_auto_number: bool = False,
        background_process: bool = False,
        csv_delimiter: CsvDelimiter = ",",
        record_type: RecordType = "flat",
    ) -> ImportedRecords:
        """Import records: all of them or, when one value is refused, none.

        The first column is the record id; codes, not labels; checkboxes as `field___code` with 0
        and 1. Longitudinal rows have `redcap_event_name`, repeating ones `redcap_repeat_instrument`
        and `redcap_repeat_instance`, where `new` takes the next number. Calculated, file and
        survey columns cannot be imported.

        Args:
            data: The rows.
            data_format: What a text is written in.
            overwrite_behavior: `normal` lets blanks change nothing; `overwrite` lets them erase.
            date_format: How dates in `data` are written; dates and times of Python fit `YMD`.
            return_content: What of the answer is wanted.
            force_auto_number: Give each record a new id; the given ones only hold rows together.
            background_process: Only accept it now. REDCap 14 and later.
            csv_delimiter: Between the cells of a csv text.
            record_type: One row per record, event and instance (`flat`), or per value (`eav`).

        Raises:
            ImportRejectedError: REDCap refused the data; `.findings` says what, without values.
            ApiError: It refused for another reason, or nobody knows whether it was carried out.
            ConfigError: Data or options cannot work.
        """
        delimiter = delimiter_word(csv_delimiter)
        payload = build_payload(data, data_format, DELIMITERS[delimiter])
        if return_content == "auto_ids" and not force_auto_number:
            raise ConfigError('`return_content="auto_ids"` goes with `force_auto_number=True`.')
        values: dict[str, Value] = {
            "type": one_of("record_type", record_type, ("flat", "eav")),
            "overwriteBehavior": one_of(
                "overwrite_behavior", overwrite_behavior, ("normal", "overwrite")
            ),
            "forceAutoNumber": force_auto_number,
            "backgroundProcess": 1 if background_process else None,
            "dateFormat": one_of("date_format", date_format, ("YMD", "MDY", "DMY")),
            "csvDelimiter": None if delimiter == "," else delimiter,
            "returnContent": one_of(
                "return_content", return_content, ("count", "ids", "auto_ids", "nothing")
            ),
        }
        call = import_call(
            "record",
            payload,
            values,
            may_be_nothing=return_content == "nothing",
            needs=(_BACKGROUND,) if background_process else (),
        )
        if background_process:
            return self._sender.send(call, _read_accepted)
        return self._sender.send(call, lambda body: _read_imported(body, return_content))

    def delete_records(
        self,
        records: Names,
        *,
        arm: int | None = None,
        instrument: str | None = None,
        event: str | None = None,
        repeat_instance: int | None = None,
        delete_logging: bool | None = None,
    ) -> int:
        """Delete records, or a part of them. The token's user needs the Delete Record right.

        REDCap deletes nothing when one of the records does not exist.

        Args:
            records: Record ids; never "all".
            arm: Only from this arm; None for all.
            instrument: Only this instrument's data; a longitudinal project then needs `event`.
            event: Unique event name.
            repeat_instance: Only this instance.
            delete_logging: Whether to delete their log entries too, where an administrator allows
                it; None leaves it to the server.

        Returns:
            Count of records.
        """
        if records is None:
            raise ConfigError("`records` must name the records to delete; there is no 'all'.")
        values: dict[str, Value] = {
            "action": "delete",
            "records": some_names("records", records),
            "arm": arm,
            "instrument": filled("instrument", instrument),
            "event": filled("event", event),
            "repeat_instance": repeat_instance,
            "delete_logging": None if delete_logging is None else int(delete_logging),
        }
        return self._act("record", values)

    def rename_record(self, record: str, new_record_name: str, arm: int | None = None) -> bool:
        """Give a record another id. The token's user needs the Rename Record right.

        Args:
            record: The id it has.
            new_record_name: The id it shall have; no record may have it yet.
            arm: Only in this arm; None for all.

        Returns:
            Whether REDCap says that it was done.
        """
        values: dict[str, Value] = {
            "action": "rename",
            "record": filled("record", record),
            "new_record_name": filled("new_record_name", new_record_name),
            "arm": arm,
        }
        return self._act("record", values) == 1

    def randomize_record(
        self, record: str, randomization_id: int, *, return_alternative: bool = False
    ) -> Row:
        """Randomize a record. REDCap 14.7 and later; the token's user needs the Randomize right.

        Args:
            record: A record that exists, with every stratum filled in.
            randomization_id: Number of the randomization, from its setup page.
            return_alternative: Whether to return the alternative (concealed) allocation too.

        Returns:
            `randomization_id`, `record`, `target_field`, and `target_field_alt` (`*` if concealed).
        """
        values: dict[str, Value] = {
            "action": "randomize",
            "record": record,
            "randomization_id": randomization_id,
            "returnAlt": return_alternative,
        }
        call = Call(
            "record", "text", build_pairs(values), "json", is_write=True, needs=(_RANDOMIZE,)
        )
        return self._sender.send(call, _read_row)


def _read_imported(body: bytes, return_content: ReturnContent) -> ImportedRecords | Failure:
    if return_content == "nothing":
        return ImportedRecords()
    if return_content == "count":
        count = read_count(body)
        return count if isinstance(count, Failure) else ImportedRecords(count)
    ids = read_small_json(body)
    if not isinstance(ids, list):
        return Failure("not_as_asked", "the answer is not a list of record ids.", 200)
    texts = tuple(str(item) for item in ids)
    if return_content == "ids":
        return ImportedRecords(len(set(texts)), texts)
    return _read_auto_ids(texts)


def _read_auto_ids(texts: Sequence[str]) -> ImportedRecords | Failure:
    pairs = [text.split(",", 1) for text in texts]
    if any(len(pair) != 2 for pair in pairs):  # noqa: PLR2004 - new id, given id
        return Failure("not_as_asked", "the answer is not a list of new and given ids.", 200)
    new_of = {given: new for new, given in pairs}
    return ImportedRecords(len(pairs), tuple(new for new, _ in pairs), new_of)


def _read_accepted(body: bytes) -> ImportedRecords | Failure:
    answer = read_small_json(body)
    success: Any = answer.get("success") if isinstance(answer, dict) else answer
    if str(success).strip().lower() in {"true", "1", "success:true"}:
        return ImportedRecords(in_background=True)
    return Failure("rejected", "the data were not taken for an import in the background.", 200)


def _read_row(body: bytes) -> Row | Failure:
    answer = read_small_json(body)
    rows = answer if isinstance(answer, list) else [answer]
    if len(rows) == 1 and isinstance(rows[0], dict):
        return rows[0]
    return Failure("not_as_asked", "the answer is not one row.", 200)
