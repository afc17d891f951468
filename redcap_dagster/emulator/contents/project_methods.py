"""Methods about a project as a whole."""

from redcap_dagster.emulator.contents.call import DATA, Method, Parameter
from redcap_dagster.emulator.contents.create import refuse_without_super_token
from redcap_dagster.emulator.contents.log import export_log
from redcap_dagster.emulator.contents.odm import export_project_xml
from redcap_dagster.emulator.contents.project import export_project, export_version
from redcap_dagster.emulator.contents.settings import import_project_settings

PROJECT_METHODS: tuple[Method, ...] = (
    Method("version", "export", "Export REDCap version", export_version, formats=()),
    Method("project", "export", "Export project information", export_project),
    Method(
        "project",
        "import",
        "Create a project",
        refuse_without_super_token,
        (DATA, Parameter("odm")),
        formats=(),
        note="needs the super token",
    ),
    Method(
        "project_settings",
        "import",
        "Import project information",
        import_project_settings,
        (DATA,),
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
    Method("externalModule", "export", "Call an external module"),
)
