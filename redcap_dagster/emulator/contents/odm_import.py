"""Reads the records of a CDISC ODM document sent for import."""

import io

from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.errors import ProjectFileError
from redcap_dagster.emulator.incoming import bad_format
from redcap_dagster.emulator.odm.definition import read_root
from redcap_dagster.emulator.odm.events import iter_xml
from redcap_dagster.emulator.odm.rows import GROUP_COLUMN, LoadedRecord, iter_records

_NAME = "The data"


def odm_lines(call: Call) -> list[dict[str, str]]:
    """Return the records sent as ODM as the lines of a flat import; files are passed over.

    Raises:
        RequestRefusedError: The document is not ODM, or names what the project does not have.
    """
    document = io.BytesIO(call.parameters.text("data").encode("utf-8", "surrogatepass"))
    walk = iter_xml(document, _NAME)
    try:
        read_root(walk, _NAME)
        records = list(iter_records(walk, call.design, _NAME))
    # The last four: an attribute is missing, or no number.
    except (ProjectFileError, KeyError, IndexError, ValueError, OverflowError) as error:
        raise bad_format() from error
    return [line for record in records for line in _lines(call, record)]


def _lines(call: Call, record: LoadedRecord) -> list[dict[str, str]]:
    lines = []
    for (event, instrument, instance), cells in record.rows.items():
        line = {call.design.record_id_field: record.record_id}
        if call.design.is_longitudinal:
            line["redcap_event_name"] = event
        if call.design.repeats:
            line["redcap_repeat_instrument"] = instrument
            line["redcap_repeat_instance"] = str(instance or "")
        if record.group:
            line[GROUP_COLUMN] = record.group
        lines.append({**line, **cells})
    return lines
