"""What a record export asks for: its parameters, read and judged."""

import re

from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.names import status_column
from redcap_dagster.emulator.records.request import RecordRequest
from redcap_dagster.emulator.records.row_filter import RowFilter
from redcap_dagster.emulator.records.visible import Hidden, hidden_from

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")


def read_request(call: Call) -> RecordRequest:
    """Read and judge the parameters of a record export."""
    parameters = call.parameters
    if parameters.word("type", "flat") not in {"flat", "eav"}:
        raise RequestRefusedError('The value of the parameter "type" is not valid')
    design = call.design
    statuses = {status_column(form.name) for form in design.forms}
    labels = parameters.word("rawOrLabel", "raw") == "label"
    flat_csv = call.body_format == "csv" and parameters.word("type", "flat") == "flat"
    return RecordRequest(
        records=parameters.names("records") or None,
        fields=frozenset(call.known_names("fields", {*design.fields_by_name, *statuses})),
        forms=_forms(call),
        events=_events(call),
        labels=labels,
        label_headers=flat_csv and parameters.word("rawOrLabelHeaders", "raw") == "label",
        checkbox_labels=labels and parameters.flag("exportCheckboxLabel"),
        survey_fields=parameters.flag("exportSurveyFields"),
        groups=parameters.flag("exportDataAccessGroups") and not call.user.data_access_group,
        group=call.user.data_access_group,
        combined_checkboxes=_combined_checkboxes(call),
        blank_gray_status=parameters.flag("exportBlankForGrayFormStatus"),
        decimal_character=_decimal_character(call),
        changed_from=_time(call, "dateRangeBegin"),
        changed_to=_time(call, "dateRangeEnd"),
        hidden=_hidden(call),
        row_filter=_row_filter(call),
    )


def _forms(call: Call) -> frozenset[str]:
    known = call.design.fields_by_form
    # A label with blanks for underscores is taken for the unique name, as the help text says.
    asked = call.known_names("forms", {*known, *(form.replace("_", " ") for form in known)})
    return frozenset(form.replace(" ", "_") for form in asked)


def _events(call: Call) -> frozenset[str] | None:
    # A classic project ignores `events`, even wrong ones.
    if not call.design.is_longitudinal or not call.parameters.names("events"):
        return None
    return frozenset(call.known_names("events", call.design.event_order))


def _decimal_character(call: Call) -> str:
    sign = call.parameters.word("decimalCharacter")
    if sign not in {"", ".", ","}:
        raise RequestRefusedError('The value of the parameter "decimalCharacter" is not valid')
    return sign


def _combined_checkboxes(call: Call) -> str:
    flat = call.parameters.word("type", "flat") == "flat"
    asked = flat and call.parameters.flag("combineCheckboxOptions")
    return call.options.combined_checkbox_separator if asked else ""


def _hidden(call: Call) -> Hidden:
    hidden = hidden_from(call.design, call.rights, call.options)
    if len(hidden.forms) == len(call.design.forms):
        raise RequestRefusedError("You do not have Data Export privileges", status=403)
    return hidden


def _row_filter(call: Call) -> RowFilter | None:
    logic = call.parameters.text("filterLogic").strip()
    if not logic:
        return None
    return RowFilter(logic, call.design, call.user.project_id, call.store.audit_log.clock())


def _time(call: Call, name: str) -> str:
    text = call.parameters.text(name).strip()
    if text and not _TIME.fullmatch(text):
        raise RequestRefusedError(
            f'The value of the parameter "{name}" is not valid: it must be YYYY-MM-DD HH:MM:SS'
        )
    return text
