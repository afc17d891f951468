"""The file repository: folders, list, export, import, delete.

A folder can be for one data access group or one role; others do not see it. Deleted files are gone
at once: REDCap keeps them in a recycle bin that its API does not show.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from redcap_dagster.emulator.answers import File, Table, Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.change import MANAGE
from redcap_dagster.emulator.contents.files import file_answer, read_pieces, uploaded_file
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.state.documents import (
    StoredDocument,
    add_document,
    delete_document,
    find_document,
)

_MAX_NAME_LENGTH = 150
_VISIBLE = (
    "folder.project_id = :project_id"
    " AND (:own_group = '' OR data_access_group IN ('', :own_group))"
    " AND (:own_role = '' OR role IN ('', :own_role))"
)


def create_folder(call: Call) -> Table:
    """Make a folder and return its number."""
    name = call.parameters.text("name").strip()
    if not name or len(name) > _MAX_NAME_LENGTH:
        raise RequestRefusedError(f"The folder name must have 1 to {_MAX_NAME_LENGTH} characters")
    group, role = _group(call), _role(call)
    with call.store.writing() as connection:
        parent = _folder(call, connection)
        cursor = connection.execute(
            "INSERT INTO folder (project_id, parent_id, name, data_access_group, role)"
            " VALUES (?, ?, ?, ?, ?)",
            (call.user.project_id, parent, name, group, role),
        )
        _tell(call, connection, "Create folder in File Repository (API)")
    return Table(("folder_id",), [(cursor.lastrowid,)])


def list_folder(call: Call) -> Table:
    """Return the folders, then the files, that stand in a folder or at the top."""
    with closing(call.store.connect()) as connection:
        folder = _folder(call, connection)
        folders = connection.execute(
            "SELECT folder_id, '' AS doc_id, name, role, data_access_group FROM folder"  # noqa: S608
            f" WHERE {_VISIBLE} AND parent_id IS :parent ORDER BY name, folder_id",
            {**_who(call), "parent": folder},
        ).fetchall()
        files = connection.execute(
            "SELECT '', document_id, name, '', '' FROM repository_file JOIN document"
            " USING (document_id) WHERE project_id = ? AND folder_id IS ?"
            " ORDER BY name, document_id",
            (call.user.project_id, folder),
        ).fetchall()
    return _listed([*folders, *files])


def _listed(rows: Sequence[Sequence[str | int]]) -> Table:
    # A JSON entry has its own number alone, not the other kind's blank one.
    return Table(
        ("folder_id", "doc_id", "name", "role", "dag"),
        [tuple(None if cell == "" else cell for cell in row) for row in rows],
        csv_header_when_empty=False,
        csv_final_newline=bool(rows),
    )


def export_repository_file(call: Call) -> File:
    """Return a file."""
    with closing(call.store.connect()) as connection:
        document = _document(call, connection)
    return file_answer(call, document)


def import_repository_file(call: Call) -> Text:
    """Keep the uploaded file in a folder, or at the top."""
    upload = uploaded_file(call)
    with call.store.writing() as connection:
        folder = _folder(call, connection)
        document_id = add_document(
            connection,
            call.user.project_id,
            upload.name,
            upload.mime_type,
            read_pieces(upload.file),
        )
        connection.execute(
            "INSERT INTO repository_file (document_id, folder_id) VALUES (?, ?)",
            (document_id, folder),
        )
        _tell(call, connection, "Upload file to File Repository (API)")
    return Text("")


def delete_repository_file(call: Call) -> Text:
    """Delete a file."""
    with call.store.writing() as connection:
        delete_document(connection, _document(call, connection).document_id)
        _tell(call, connection, "Delete file from File Repository (API)")
    return Text("")


def _tell(call: Call, connection: sqlite3.Connection, details: str) -> None:
    call.store.audit_log.write(connection, call.user, MANAGE, details)


def _who(call: Call) -> dict[str, str | int | None]:
    return {
        "project_id": call.user.project_id,
        "own_group": call.user.data_access_group,
        "own_role": call.user.role,
    }


def _folder(call: Call, connection: sqlite3.Connection) -> int | None:
    """Return the folder the request names, or None for the top."""
    asked = call.parameters.text("folder_id").strip()
    if not asked:
        return None
    found = connection.execute(
        f"SELECT folder_id FROM folder WHERE {_VISIBLE} AND folder_id = :folder",  # noqa: S608
        {**_who(call), "folder": asked},
    ).fetchone()
    if found is None:
        raise RequestRefusedError(
            f"The File Repository folder folder_id={asked} does not exist or else you do not have "
            "permission to that folder because it is DAG-restricted or Role-restricted."
        )
    return int(found[0])


def _document(call: Call, connection: sqlite3.Connection) -> StoredDocument:
    asked = call.parameters.text("doc_id").strip()
    document = find_document(connection, call.user.project_id, asked)
    found = connection.execute(
        "SELECT folder_id FROM repository_file LEFT JOIN folder USING (folder_id)"  # noqa: S608
        f" WHERE document_id = :document AND (folder_id IS NULL OR ({_VISIBLE}))",
        {**_who(call), "document": document.document_id if document else None},
    ).fetchone()
    if document is None or found is None:
        raise RequestRefusedError(f"The File Repository file doc_id={asked} does not exist")
    return document


def _group(call: Call) -> str:
    asked = call.parameters.text("dag_id").strip()
    for group in call.design.groups:
        if asked in {str(group.group_id), group.unique_name}:
            return group.unique_name
    if asked:
        raise RequestRefusedError('The value of the parameter "dag_id" is not valid')
    return ""


def _role(call: Call) -> str:
    asked = call.parameters.text("role_id").strip()
    if asked and asked not in {role.unique_name for role in call.design.roles}:
        raise RequestRefusedError('The value of the parameter "role_id" is not valid')
    return asked
