"""The examples in PyCap's documentation, as they stand in the installed package.

PyCap's authors run them against a REDCap server of Vanderbilt. Only that server's address is
replaced.
"""

import doctest
import io
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
import redcap
import redcap.methods
import requests

from redcap_dagster.emulator import RedcapEmulator

THEIR_SERVER = "https://redcapdemo.vumc.org"
# Survey links lead to no page here, and must not look as if they did.
SURVEYS_ARE_AT = "https://redcap.example.org"
# What later servers, or other beginnings, say otherwise than the documentation of 2022 to 2025.
DIFFERENT = {
    "redcap.methods.users.Users.export_users": (
        "'data_access_group_id': '', 'design'",
        # Since REDCap 16.0.0.
        "'data_access_group_id': '', 'data_access_group_label': '', 'design'",
    ),
    "redcap.methods.logging.Logging.export_logging": (
        # Their log has lines older than this one, which the documentation leaves out.
        "'details': 'Create project ...'}, ...]",
        "'details': 'Create project ...'}]",
    ),
}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def created(server: RedcapEmulator, super_token: str, project_xml: str) -> str:
    """Make a project as PyCap's documentation does: a super token, XML attributes, ODM."""
    attributes = (
        '<?xml version="1.0" encoding="UTF-8" ?>\n    <item>\n'
        "    <project_title>PyCap doctest_project</project_title>\n"
        "    <purpose>0</purpose>\n    </item>"
    )
    answer = requests.post(
        server.url,
        data={
            "token": super_token,
            "content": "project",
            "format": "xml",
            "data": attributes,
            "odm": project_xml,
        },
        timeout=60,
    )
    # Theirs is preceded by SQL at times, so the documented way is to take the end.
    return answer.text[-32:]


@pytest.fixture
def project(server: RedcapEmulator, super_token: str, documented_project: str) -> redcap.Project:
    """The documented project, prepared as PyCap's authors prepare theirs."""
    project = redcap.Project(server.url, created(server, super_token, documented_project))
    owner = project.export_users()[0]
    owner.update(record_delete=1, record_rename=1, lock_records_all_forms=1, lock_records=1)
    assert project.import_users([owner]) == 1
    assert project.import_dags([{"data_access_group_name": "Test DAG", "unique_group_name": ""}])
    assert project.import_user_roles(
        [{"role_label": "Test role", "forms": {"form_1": 2}, "forms_export": {"form_1": 0}}]
    )
    project.create_folder_in_repository("test")
    (folder,) = project.export_file_repository()
    project.import_file_into_repository("test.txt", io.BytesIO(b"hello"))
    project.import_file_into_repository(
        "test_in_folder.txt", io.BytesIO(b"hello"), folder["folder_id"]
    )
    return project


def examples() -> list[doctest.DocTest]:
    """Every example, in the order pytest runs them: modules by name, then objects by name."""
    names = sorted(module.name for module in iter_modules(redcap.methods.__path__))
    modules = [import_module(f"redcap.methods.{name}") for name in names]
    finder = doctest.DocTestFinder()
    found = [
        test
        for module in (*modules, import_module("redcap.project"))
        for test in finder.find(module)
    ]
    return [test for test in found if test.examples]


# Their examples leave temporary files open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_documented_example_gives_what_the_documentation_shows(
    server: RedcapEmulator, project: redcap.Project
) -> None:
    root = server.url.removesuffix("/api/")
    names: dict[str, Any] = {"proj": project, "TOKEN": project.token}
    runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    told = io.StringIO()
    run = examples()
    for test in run:
        shown, here = DIFFERENT.get(test.name, ("", ""))
        for example in test.examples:
            example.source = example.source.replace(THEIR_SERVER, root)
            example.want = example.want.replace(THEIR_SERVER, SURVEYS_ARE_AT)
            if shown:
                assert example.want.count(shown) <= 1
                example.want = " ".join(example.want.split()).replace(shown, here) + "\n"
        test.globs = dict(names)
        runner.run(test, out=told.write)
    assert told.getvalue() == ""
    assert len(run) > 50
