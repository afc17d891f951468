"""Surveys: links, codes, and the list of participants.

Links and codes are made from what they stand for, so that they are the same whenever they are
asked; no survey stands behind a link.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import sha256

from redcap_dagster.emulator.answers import Table, Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.place import asked_event, asked_instance, asked_record
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.names import timestamp_column
from redcap_dagster.emulator.odm.rows import IDENTIFIER_COLUMN
from redcap_dagster.emulator.records.request import RecordRequest
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.emulator.records.stored import iter_stored

_SURVEYS = "https://redcap.example.org/surveys/"
# Without letters and digits that are taken for others, as REDCap's own codes.
_LETTERS = "ACDEFHJKLMNPRTWXY347"
_LINK_LENGTH = 8
_RETURN_CODE_LENGTH = 8
_ACCESS_CODE_LENGTH = 9
_NOT_COMPLETED = "[not completed]"
_NO_RESPONSE, _PARTIAL_RESPONSE, _COMPLETE_RESPONSE = range(3)
_COLUMNS = (
    "email",
    "email_occurrence",
    "identifier",
    "record",
    "invitation_sent_status",
    "invitation_send_time",
    "response_status",
    "survey_access_code",
    "survey_link",
)


def export_survey_link(call: Call) -> Text:
    """Return the link of one record's survey."""
    return Text(_link(_place(call)))


def export_queue_link(call: Call) -> Text:
    """Return the link of one record's survey queue."""
    if not call.design.survey_forms:
        raise RequestRefusedError("The survey queue is not enabled for this project")
    place = (str(call.user.project_id), asked_record(call))
    return Text(f"{_SURVEYS}?sq={_code('queue', place, _LINK_LENGTH)}")


def export_return_code(call: Call) -> Text:
    """Return the code with which a respondent continues; only where the survey can be saved."""
    place = _place(call)
    form = call.parameters.text("instrument").strip()
    if not any(survey.form == form and survey.save_and_return for survey in call.design.surveys):
        raise RequestRefusedError(
            f"The survey '{form}' does not have the 'Save & Return Later' option enabled"
        )
    return Text(_code("return", place, _RETURN_CODE_LENGTH))


def export_access_code(call: Call) -> Text:
    """Return the code that opens one record's survey."""
    return Text(_code("access", _place(call), _ACCESS_CODE_LENGTH))


def export_participants(call: Call) -> Table:
    """Return the participants of a survey: every record of its event, as far as it is known."""
    form, event = _survey(call)
    return Table(_COLUMNS, list(_iter_participants(call, form, event)))


def _iter_participants(call: Call, form: str, event: str) -> Iterator[Sequence[str | int]]:
    email_field = call.design.settings.survey_email_field
    occurrences: dict[str, int] = {}
    request = RecordRequest(group=call.user.data_access_group)
    with closing(call.store.connect()) as connection:
        for rows in iter_stored(connection, call.user.project_id, call.design, request):
            here = [row for row in rows if row.event == event]
            if here:
                email = _first(rows, email_field)
                occurrences[email] = occurrences.get(email, 0) + 1
                place = (str(call.user.project_id), here[0].record_id, form, event, "1")
                yield (
                    email,
                    occurrences[email] if email else "",
                    _first(rows, IDENTIFIER_COLUMN),
                    here[0].record_id,
                    0,
                    "",
                    _response(here, form),
                    _code("access", place, _ACCESS_CODE_LENGTH),
                    _link(place),
                )


def _first(rows: Sequence[StoredRow], column: str) -> str:
    return next((row.cells[column] for row in rows if row.cells.get(column)), "")


def _response(rows: Sequence[StoredRow], form: str) -> int:
    stamp = _first(rows, timestamp_column(form))
    if not stamp:
        return _NO_RESPONSE
    return _PARTIAL_RESPONSE if stamp == _NOT_COMPLETED else _COMPLETE_RESPONSE


def _link(place: tuple[str, ...]) -> str:
    return f"{_SURVEYS}?s={_code('link', place, _LINK_LENGTH)}"


def _code(kind: str, place: tuple[str, ...], length: int) -> str:
    digest = sha256("\0".join((kind, *place)).encode("utf-8", "surrogatepass")).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:length])


def _place(call: Call) -> tuple[str, ...]:
    """Return what a link or code stands for: project, record, instrument, event, instance."""
    form, event = _survey(call)
    record_id = asked_record(call)
    return (str(call.user.project_id), record_id, form, event, str(asked_instance(call)))


def _survey(call: Call) -> tuple[str, str]:
    """Return the survey and event that are asked for."""
    design = call.design
    form = call.parameters.text("instrument").strip()
    if form not in design.form_order:
        raise RequestRefusedError(f"The instrument '{form}' does not exist in this project")
    if form not in design.survey_forms:
        raise RequestRefusedError(f"The instrument '{form}' has not been enabled as a survey")
    return form, asked_event(call, form)
