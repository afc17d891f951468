"""Loads a project XML into the state file, whole or not at all."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256

from redcap_dagster.emulator.design import Design, Group
from redcap_dagster.emulator.errors import ProjectFileError
from redcap_dagster.emulator.names import natural_key
from redcap_dagster.emulator.odm.definition import read_root, read_study
from redcap_dagster.emulator.odm.design import build_design
from redcap_dagster.emulator.odm.events import End, Start, iter_xml
from redcap_dagster.emulator.odm.rows import LoadedRecord, iter_records
from redcap_dagster.emulator.odm.source import XmlSource, open_source
from redcap_dagster.emulator.state.design_json import design_to_json
from redcap_dagster.emulator.state.documents import add_document, pieces_of
from redcap_dagster.emulator.state.numbers import (
    first_event_id,
    first_group_id,
    first_report_id,
    free_project_id,
    next_group_id,
)
from redcap_dagster.emulator.state.people import add_user
from redcap_dagster.emulator.state.store import Store
from redcap_dagster.emulator.state.user import User
from redcap_dagster.emulator.synthetic.project import SyntheticProject


@dataclass(frozen=True)
class ProjectOptions:
    """What a project XML cannot hold, and what its loader may wish to say about it.

    Attributes:
        token: API token of the first user, 32 hexadecimal digits; random when None.
        username: Name of the first user, who has every right.
        data_access_group: Name or unique name of the group the first user sits in, or None.
        title: Title instead of the one in the file.
        creation_time: `YYYY-MM-DD HH:MM:SS` instead of the time the file was written.
        project_id: Number of the project; the next free one when None.
        production_time: When the project was moved to Production status, `YYYY-MM-DD HH:MM:SS`;
            None leaves it in Development.
        change: A last change to the design, or None.
    """

    token: str | None = None
    username: str = "api_user"
    data_access_group: str | None = None
    title: str | None = None
    creation_time: str | None = None
    project_id: int | None = None
    production_time: str | None = None
    change: Callable[[Design], Design] | None = None


def load_project(
    store: Store, source: XmlSource, records: XmlSource | None, options: ProjectOptions
) -> User:
    """Load one project and its first user.

    Args:
        store: The state to load into.
        source: The project XML.
        records: A second XML that holds only records of the same project, or None.
        options: What the file does not say.

    Returns:
        The project's first user, whose token is what a client needs.

    Raises:
        ProjectFileError: A file cannot be loaded; nothing of it is kept.
        EmulatorError: The token, number or group asked for cannot be given.
    """
    with ExitStack() as stack:
        file, name = open_source(source)
        stack.enter_context(file)
        # A file that a client sends makes a new project each time.
        digest = "" if options.change else source_digest(source)
        connection = stack.enter_context(store.writing())
        project_id = free_project_id(connection, options.project_id)
        walk = iter_xml(file, name)
        with _reading(name):
            root = read_root(walk, name)
            design = build_design(
                read_study(walk, root, name),
                name,
                first_event_id=first_event_id(project_id),
                first_group_id=first_group_id(project_id),
                first_report_id=first_report_id(project_id),
            )
        design = _with_options(design, options)
        connection.execute(
            "INSERT INTO project (project_id, design, source_digest) VALUES (?, '', ?)",
            (project_id, digest),
        )
        with _reading(name):
            _insert_records(store, connection, project_id, iter_records(walk, design, name))
        if records is not None:
            _load_records(store, connection, project_id, design, records)
        design = _with_groups_of_records(connection, project_id, design)
        connection.execute(
            "UPDATE project SET design = ? WHERE project_id = ?",
            (json.dumps(design_to_json(design)), project_id),
        )
        return _add_first_user(connection, project_id, design, options)


def load_synthetic_project(store: Store, made: SyntheticProject, options: ProjectOptions) -> User:
    """Load a made-up project, straight into the state, and its first user.

    Raises:
        EmulatorError: The token, number or group asked for cannot be given.
    """

    def numbered(project_id: int) -> Design:
        return made.numbered_design(
            first_event_id(project_id), first_group_id(project_id), first_report_id(project_id)
        )

    return load_design(store, numbered, options, made.iter_records(), made.name)


def load_design(
    store: Store,
    make_design: Callable[[int], Design],
    options: ProjectOptions,
    records: Iterable[LoadedRecord] = (),
    name: str = "",
) -> User:
    """Make a project of a design, without a file, and its first user.

    Args:
        store: The state.
        make_design: Makes the design of the number that the project gets.
        options: What the design does not say.
        records: The project's records.
        name: What tells it from other projects when a state is used again.

    Raises:
        EmulatorError: The token, number or group asked for cannot be given.
    """
    with store.writing() as connection:
        project_id = free_project_id(connection, options.project_id)
        design = _with_options(make_design(project_id), options)
        connection.execute(
            "INSERT INTO project (project_id, design, source_digest) VALUES (?, ?, ?)",
            (
                project_id,
                json.dumps(design_to_json(design)),
                sha256(name.encode()).hexdigest(),
            ),
        )
        _insert_records(store, connection, project_id, records)
        return _add_first_user(connection, project_id, design, options)


def _add_first_user(
    connection: sqlite3.Connection, project_id: int, design: Design, options: ProjectOptions
) -> User:
    return add_user(
        connection,
        project_id,
        design,
        username=options.username,
        token=options.token,
        data_access_group=options.data_access_group,
    )


def source_digest(source: XmlSource) -> str:
    """Return what tells one project file from another."""
    file, _ = open_source(source)
    digest = sha256()
    with file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn what a malformed file does to its reader into one sentence."""
    try:
        yield
    except ProjectFileError:
        raise
    except sqlite3.IntegrityError as error:
        raise ProjectFileError(f"{name} holds one record twice.") from error
    except (KeyError, IndexError, ValueError, OverflowError) as error:
        raise ProjectFileError(
            f"{name} is not a whole REDCap project XML: something that belongs there is missing "
            f"or no number ({type(error).__name__} {error})."
        ) from error


def _with_options(design: Design, options: ProjectOptions) -> Design:
    settings = design.settings
    if options.title is not None:
        settings = replace(settings, title=options.title)
    if options.creation_time is not None:
        settings = replace(settings, creation_time=options.creation_time)
    if options.production_time is not None:
        settings = replace(settings, production_time=options.production_time)
    design = replace(design, settings=settings)
    return design if options.change is None else options.change(design)


def _with_groups_of_records(
    connection: sqlite3.Connection, project_id: int, design: Design
) -> Design:
    """Add the groups that records sit in and that the file does not list (before REDCap 12)."""
    known = {group.unique_name for group in design.groups}
    found = connection.execute(
        "SELECT DISTINCT data_access_group FROM record WHERE project_id = ? ORDER BY 1",
        (project_id,),
    )
    unlisted = [name for (name,) in found if name and name not in known]
    first = next_group_id(project_id, design)
    added = tuple(Group(name, name, first + position) for position, name in enumerate(unlisted))
    return replace(design, groups=design.groups + added)


def _load_records(
    store: Store,
    connection: sqlite3.Connection,
    project_id: int,
    design: Design,
    source: XmlSource,
) -> None:
    file, name = open_source(source)
    with file, _reading(name):
        walk: Iterator[Start | End] = iter_xml(file, name)
        read_root(walk, name)
        _insert_records(store, connection, project_id, iter_records(walk, design, name))


def _insert_records(
    store: Store,
    connection: sqlite3.Connection,
    project_id: int,
    records: Iterable[LoadedRecord],
) -> None:
    changed_at = store.audit_log.now()
    for record in records:
        connection.execute(
            "INSERT INTO record (project_id, record_id, sort_key, data_access_group, changed_at)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                project_id,
                record.record_id,
                natural_key(record.record_id),
                record.group,
                changed_at,
            ),
        )
        for (key, field_name), document in record.documents.items():
            content = None if document.content is None else pieces_of(document.content)
            document_id = add_document(
                connection, project_id, document.name, document.mime_type, content
            )
            record.rows[key][field_name] = str(document_id)
        connection.executemany(
            "INSERT INTO row (project_id, record_id, event, instrument, instance, cells)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (project_id, record.record_id, *key, json.dumps(cells, ensure_ascii=False))
                for key, cells in record.rows.items()
            ],
        )
