"""Methods about files and surveys."""

from redcap_dagster.emulator.contents.call import Method, Parameter
from redcap_dagster.emulator.contents.files import delete_file, export_file, import_file
from redcap_dagster.emulator.contents.repository import (
    create_folder,
    delete_repository_file,
    export_repository_file,
    import_repository_file,
    list_folder,
)
from redcap_dagster.emulator.contents.surveys import (
    export_access_code,
    export_participants,
    export_queue_link,
    export_return_code,
    export_survey_link,
)

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

FILE_AND_SURVEY_METHODS: tuple[Method, ...] = (
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
)
