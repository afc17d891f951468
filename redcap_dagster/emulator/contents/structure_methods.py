"""Methods about the data dictionary, arms, events and what repeats."""

from redcap_dagster.emulator.contents.arms import (
    delete_arms,
    delete_events,
    import_arms,
    import_events,
)
from redcap_dagster.emulator.contents.call import DATA, Method, Parameter
from redcap_dagster.emulator.contents.dictionary import export_field_names, export_metadata
from redcap_dagster.emulator.contents.dictionary_import import import_metadata
from redcap_dagster.emulator.contents.mapping import import_form_event_mapping, import_repeats
from redcap_dagster.emulator.contents.pdf import export_pdf
from redcap_dagster.emulator.contents.structure import (
    export_arms,
    export_events,
    export_form_event_mapping,
    export_instruments,
    export_repeats,
)

_ARMS = (Parameter("arms"),)
_OVERRIDE = Parameter("override")

STRUCTURE_METHODS: tuple[Method, ...] = (
    Method(
        "metadata",
        "export",
        "Export metadata",
        export_metadata,
        (Parameter("fields"), Parameter("forms", note="joined with `fields` by or")),
    ),
    Method("metadata", "import", "Import metadata", import_metadata, (DATA,), formats=()),
    Method(
        "exportFieldNames",
        "export",
        "Export field names",
        export_field_names,
        (Parameter("field"),),
    ),
    Method("instrument", "export", "Export instruments", export_instruments),
    Method(
        "pdf",
        "export",
        "Export a PDF of instruments",
        export_pdf,
        (
            Parameter("record"),
            Parameter("event"),
            Parameter("instrument"),
            Parameter("repeat_instance"),
            Parameter("allRecords"),
            Parameter("compactDisplay"),
        ),
        formats=(),
    ),
    Method("arm", "export", "Export arms", export_arms, _ARMS),
    Method("arm", "import", "Import arms", import_arms, (DATA, _OVERRIDE), formats=()),
    Method("arm", "delete", "Delete arms", delete_arms, _ARMS, formats=()),
    Method("event", "export", "Export events", export_events, _ARMS),
    Method("event", "import", "Import events", import_events, (DATA, _OVERRIDE), formats=()),
    Method("event", "delete", "Delete events", delete_events, (Parameter("events"),), formats=()),
    Method(
        "formEventMapping",
        "export",
        "Export instrument-event mappings",
        export_form_event_mapping,
        _ARMS,
    ),
    Method(
        "formEventMapping",
        "import",
        "Import instrument-event mappings",
        import_form_event_mapping,
        (DATA,),
        formats=(),
    ),
    Method(
        "repeatingFormsEvents", "export", "Export repeating instruments and events", export_repeats
    ),
    Method(
        "repeatingFormsEvents",
        "import",
        "Import repeating instruments and events",
        import_repeats,
        (DATA,),
        formats=(),
    ),
)
