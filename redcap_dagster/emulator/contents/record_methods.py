"""Methods about records and reports."""

from redcap_dagster.emulator.contents.call import Method, Parameter
from redcap_dagster.emulator.contents.project import generate_next_record_name
from redcap_dagster.emulator.contents.randomize import randomize_record
from redcap_dagster.emulator.contents.record_delete import delete_records
from redcap_dagster.emulator.contents.record_import import import_records
from redcap_dagster.emulator.contents.record_rename import rename_record
from redcap_dagster.emulator.contents.records import export_records
from redcap_dagster.emulator.contents.reports import export_report

_RECORD_PARAMETERS = (
    Parameter("type", note="`flat` or `eav`"),
    Parameter("records"),
    Parameter("fields"),
    Parameter("forms"),
    Parameter("events", note="ignored in a classic project"),
    Parameter("rawOrLabel"),
    Parameter("rawOrLabelHeaders", note="csv and flat only"),
    Parameter("exportCheckboxLabel", note="flat and label only"),
    Parameter("exportSurveyFields"),
    Parameter("exportDataAccessGroups", note="ignored for a user in a data access group"),
    Parameter("filterLogic"),
    Parameter("dateRangeBegin", note="a loaded record changed once: when it was loaded"),
    Parameter("dateRangeEnd", note="a loaded record changed once: when it was loaded"),
    Parameter("csvDelimiter", note="`,` `tab` `;` `\\|` `^`"),
    Parameter("decimalCharacter", note="calculated and number fields"),
    Parameter("exportBlankForGrayFormStatus"),
    Parameter("combineCheckboxOptions", note="flat only; codes or labels joined by `,`"),
)
_REPORT_PARAMETERS = frozenset(
    {"rawOrLabel", "rawOrLabelHeaders", "exportCheckboxLabel", "csvDelimiter", "decimalCharacter"}
)

RECORD_METHODS: tuple[Method, ...] = (
    Method(
        "record",
        "export",
        "Export records",
        export_records,
        _RECORD_PARAMETERS,
        note="`format=odm` gives the records without the study",
        odm=True,
    ),
    Method(
        "record",
        "import",
        "Import records",
        import_records,
        (
            Parameter("data"),
            Parameter("type", note="`flat` or `eav`"),
            Parameter("overwriteBehavior", note="`normal` or `overwrite`"),
            Parameter("forceAutoNumber"),
            Parameter("dateFormat", note="`YMD`, `MDY` or `DMY`"),
            Parameter("csvDelimiter"),
            Parameter("returnContent", note="`count`, `ids`, `auto_ids` or `nothing`"),
            Parameter("backgroundProcess", note="done at once all the same"),
        ),
        note="`format=odm` too, without files",
        odm=True,
    ),
    Method(
        "record",
        "delete",
        "Delete records",
        delete_records,
        (
            Parameter("records"),
            Parameter("arm"),
            Parameter("instrument", note="needs `event` in a longitudinal project"),
            Parameter("event"),
            Parameter("repeat_instance"),
            Parameter("delete_logging", note="blanks the details of the record's log"),
        ),
        formats=(),
    ),
    Method(
        "record",
        "rename",
        "Rename a record",
        rename_record,
        (Parameter("record"), Parameter("new_record_name"), Parameter("arm")),
        formats=(),
    ),
    Method(
        "record",
        "randomize",
        "Randomize a record",
        randomize_record,
        (
            Parameter("record"),
            Parameter("randomization_id"),
            Parameter("returnAlt", note="`*` where the allocation is concealed"),
        ),
    ),
    Method(
        "generateNextRecordName",
        "export",
        "Generate next record name",
        generate_next_record_name,
        formats=(),
    ),
    Method(
        "report",
        "export",
        "Export reports",
        export_report,
        (
            Parameter("report_id", note="number or unique name"),
            *(
                parameter
                for parameter in _RECORD_PARAMETERS
                if parameter.name in _REPORT_PARAMETERS
            ),
        ),
        note="reports of the project XML",
        odm=True,
    ),
)
