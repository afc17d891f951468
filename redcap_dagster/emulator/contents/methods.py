"""Every API method REDCap has: the one table that requests and the coverage page are read from."""

from redcap_dagster.emulator.contents.arms import (
    delete_arms,
    delete_events,
    import_arms,
    import_events,
)
from redcap_dagster.emulator.contents.call import Method, Parameter
from redcap_dagster.emulator.contents.create import refuse_without_super_token
from redcap_dagster.emulator.contents.dictionary import export_field_names, export_metadata
from redcap_dagster.emulator.contents.dictionary_import import import_metadata
from redcap_dagster.emulator.contents.files import delete_file, export_file, import_file
from redcap_dagster.emulator.contents.groups import (
    delete_groups,
    import_group_mapping,
    import_groups,
    switch_group,
)
from redcap_dagster.emulator.contents.log import export_log
from redcap_dagster.emulator.contents.mapping import import_form_event_mapping, import_repeats
from redcap_dagster.emulator.contents.odm import export_project_xml
from redcap_dagster.emulator.contents.pdf import export_pdf
from redcap_dagster.emulator.contents.people import (
    export_group_mapping,
    export_groups,
    export_role_mapping,
    export_roles,
    export_users,
)
from redcap_dagster.emulator.contents.project import (
    export_project,
    export_version,
    generate_next_record_name,
)
from redcap_dagster.emulator.contents.randomize import randomize_record
from redcap_dagster.emulator.contents.record_delete import delete_records
from redcap_dagster.emulator.contents.record_import import import_records
from redcap_dagster.emulator.contents.record_rename import rename_record
from redcap_dagster.emulator.contents.records import export_records
from redcap_dagster.emulator.contents.reports import export_report
from redcap_dagster.emulator.contents.repository import (
    create_folder,
    delete_repository_file,
    export_repository_file,
    import_repository_file,
    list_folder,
)
from redcap_dagster.emulator.contents.roles import delete_roles, import_role_mapping, import_roles
from redcap_dagster.emulator.contents.settings import import_project_settings
from redcap_dagster.emulator.contents.structure import (
    export_arms,
    export_events,
    export_form_event_mapping,
    export_instruments,
    export_repeats,
)
from redcap_dagster.emulator.contents.surveys import (
    export_access_code,
    export_participants,
    export_queue_link,
    export_return_code,
    export_survey_link,
)
from redcap_dagster.emulator.contents.users import delete_users, import_users

_ARMS = (Parameter("arms"),)
_DATA = Parameter("data", note="csv, json or xml, as `format` says")
_OVERRIDE = Parameter("override")
_SURVEY = (
    Parameter("record"),
    Parameter("instrument"),
    Parameter("event"),
    Parameter("repeat_instance"),
)
_FILE = (
    Parameter("record"),
    Parameter("field"),
    Parameter("event"),
    Parameter("repeat_instance"),
)
_UPLOAD = Parameter("file", note="a part of multipart/form-data")
_FOLDER = Parameter("folder_id")
_DOCUMENT = Parameter("doc_id")
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

METHODS: tuple[Method, ...] = (
    Method("version", "export", "Export REDCap version", export_version, formats=()),
    Method("project", "export", "Export project information", export_project),
    Method(
        "metadata",
        "export",
        "Export metadata",
        export_metadata,
        (Parameter("fields"), Parameter("forms", note="joined with `fields` by or")),
    ),
    Method(
        "exportFieldNames",
        "export",
        "Export field names",
        export_field_names,
        (Parameter("field"),),
    ),
    Method("instrument", "export", "Export instruments", export_instruments),
    Method("arm", "export", "Export arms", export_arms, _ARMS),
    Method("event", "export", "Export events", export_events, _ARMS),
    Method(
        "formEventMapping",
        "export",
        "Export instrument-event mappings",
        export_form_event_mapping,
        _ARMS,
    ),
    Method(
        "repeatingFormsEvents", "export", "Export repeating instruments and events", export_repeats
    ),
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
        "generateNextRecordName",
        "export",
        "Generate next record name",
        generate_next_record_name,
        formats=(),
    ),
    Method("user", "export", "Export users", export_users),
    Method("userRole", "export", "Export user roles", export_roles),
    Method("userRoleMapping", "export", "Export user-role assignments", export_role_mapping),
    Method("dag", "export", "Export data access groups", export_groups),
    Method(
        "userDagMapping",
        "export",
        "Export user-data-access-group assignments",
        export_group_mapping,
    ),
    Method("arm", "import", "Import arms", import_arms, (_DATA, _OVERRIDE), formats=()),
    Method("arm", "delete", "Delete arms", delete_arms, _ARMS, formats=()),
    Method("dag", "import", "Import data access groups", import_groups, (_DATA,), formats=()),
    Method(
        "dag",
        "delete",
        "Delete data access groups",
        delete_groups,
        (Parameter("dags"),),
        formats=(),
    ),
    Method(
        "dag",
        "switch",
        "Switch data access group",
        switch_group,
        (Parameter("dag", note="a user may switch to every group"),),
        formats=(),
    ),
    Method(
        "userDagMapping",
        "import",
        "Import user-data-access-group assignments",
        import_group_mapping,
        (_DATA,),
        formats=(),
    ),
    Method("event", "import", "Import events", import_events, (_DATA, _OVERRIDE), formats=()),
    Method("event", "delete", "Delete events", delete_events, (Parameter("events"),), formats=()),
    Method("file", "export", "Export a file", export_file, _FILE, formats=()),
    Method("file", "import", "Import a file", import_file, (*_FILE, _UPLOAD), formats=()),
    Method("file", "delete", "Delete a file", delete_file, _FILE, formats=()),
    Method(
        "fileRepository",
        "createFolder",
        "Create a folder in the file repository",
        create_folder,
        (
            Parameter("name"),
            _FOLDER,
            Parameter("dag_id"),
            Parameter("role_id", note="unique name of the role"),
        ),
    ),
    Method(
        "fileRepository", "list", "List a folder of the file repository", list_folder, (_FOLDER,)
    ),
    Method(
        "fileRepository",
        "export",
        "Export a file from the file repository",
        export_repository_file,
        (_DOCUMENT,),
        formats=(),
    ),
    Method(
        "fileRepository",
        "import",
        "Import a file into the file repository",
        import_repository_file,
        (_FOLDER, _UPLOAD),
        formats=(),
    ),
    Method(
        "fileRepository",
        "delete",
        "Delete a file from the file repository",
        delete_repository_file,
        (_DOCUMENT,),
        formats=(),
    ),
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
    Method(
        "formEventMapping",
        "import",
        "Import instrument-event mappings",
        import_form_event_mapping,
        (_DATA,),
        formats=(),
    ),
    Method(
        "log",
        "export",
        "Export logging",
        export_log,
        (
            Parameter("logtype"),
            Parameter("user"),
            Parameter("record"),
            Parameter("dag", note="group id or unique name"),
            Parameter("beginTime"),
            Parameter("endTime"),
        ),
    ),
    Method("metadata", "import", "Import metadata", import_metadata, (_DATA,), formats=()),
    Method(
        "project",
        "import",
        "Create a project",
        refuse_without_super_token,
        (_DATA, Parameter("odm")),
        formats=(),
        note="needs the super token",
    ),
    Method(
        "project_settings",
        "import",
        "Import project information",
        import_project_settings,
        (_DATA,),
        formats=(),
    ),
    Method(
        "project_xml",
        "export",
        "Export project XML",
        export_project_xml,
        (
            Parameter("returnMetadataOnly"),
            Parameter("records"),
            Parameter("fields"),
            Parameter("events"),
            Parameter("exportSurveyFields"),
            Parameter("exportDataAccessGroups"),
            Parameter("filterLogic"),
            Parameter("exportFiles"),
        ),
        formats=("xml",),
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
        "repeatingFormsEvents",
        "import",
        "Import repeating instruments and events",
        import_repeats,
        (_DATA,),
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
    Method("surveyLink", "export", "Export a survey link", export_survey_link, _SURVEY, formats=()),
    Method(
        "surveyQueueLink",
        "export",
        "Export a survey queue link",
        export_queue_link,
        (Parameter("record"),),
        formats=(),
        note="the queue is on in every project with surveys",
    ),
    Method(
        "surveyReturnCode",
        "export",
        "Export a survey return code",
        export_return_code,
        _SURVEY,
        formats=(),
    ),
    Method(
        "surveyAccessCode",
        "export",
        "Export a survey access code",
        export_access_code,
        _SURVEY,
        formats=(),
    ),
    Method(
        "participantList",
        "export",
        "Export a survey participant list",
        export_participants,
        (Parameter("instrument"), Parameter("event")),
    ),
    Method("user", "import", "Import users", import_users, (_DATA,), formats=()),
    Method("user", "delete", "Delete users", delete_users, (Parameter("users"),), formats=()),
    Method("userRole", "import", "Import user roles", import_roles, (_DATA,), formats=()),
    Method(
        "userRole", "delete", "Delete user roles", delete_roles, (Parameter("roles"),), formats=()
    ),
    Method(
        "userRoleMapping",
        "import",
        "Import user-role assignments",
        import_role_mapping,
        (_DATA,),
        formats=(),
    ),
    Method("externalModule", "export", "Call an external module"),
)
METHODS_BY_NAME = {(method.content, method.action): method for method in METHODS}
CONTENTS = frozenset(method.content for method in METHODS)
