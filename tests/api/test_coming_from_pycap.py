"""Every line of ours in docs/coming-from-pycap.md, run in order against the emulator."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator

PAGE = Path(__file__).parents[2] / "docs" / "coming-from-pycap.md"
SUPER_TOKEN = "S" * 64
TOKEN = "0123456789ABCDEF0123456789ABCDEF"

METADATA = """\
field_name,form_name,section_header,field_type,field_label,select_choices_or_calculations,\
field_note,text_validation_type_or_show_slider_number,text_validation_min,text_validation_max,\
identifier,branching_logic,required_field,custom_alignment,question_number,matrix_group_name,\
matrix_ranking,field_annotation
record_id,form_1,,text,"Record ID",,,,,,,,,,,,,
field_1,form_1,,yesno,"Field 1",,,,,,,,,,,,,
checkbox_field,form_1,,checkbox,"Checkbox field","1, Choice 1 | 2, Choice 2",,,,,,,,,,,,
upload_field,form_1,,file,"Upload field",,,,,,,,,,,,,
"""
SURVEY = (
    '<redcap:SurveysGroup><redcap:Surveys form_name="form_1" title="Form 1" '
    'save_and_return="1"/></redcap:SurveysGroup>'
)
REPORT = (
    '<redcap:ReportsGroup><redcap:Reports title="Field 1" unique_report_name="R-1" '
    'redcap_reports_fields="record_id,field_1"/></redcap:ReportsGroup>'
)


def visit(record_id: str, **values: str) -> dict[str, str]:
    event = {"redcap_event_name": "event_1_arm_1", "redcap_repeat_instance": "1"}
    return {"record_id": record_id, **event, **values}


def make_manuals_study(emulator: RedcapEmulator) -> str:
    """The study of PyCap's manual: longitudinal, one repeating event, one survey, two records."""
    settings = {"project_title": "PyCap's study", "purpose": 0, "is_longitudinal": 1}
    settings["surveys_enabled"] = 1
    with RedcapClient(emulator.url, SUPER_TOKEN, retries=0) as administrator:
        plain = administrator.create_project(settings)
        with RedcapClient(emulator.url, plain, retries=0) as redcap:
            redcap.import_metadata(METADATA, "csv")
            redcap.import_repeating_instruments_events(
                [{"event_name": "event_1_arm_1", "form_name": "", "custom_form_label": ""}]
            )
            odm = redcap.export_project_xml(metadata_only=True)
        odm = odm.replace("</GlobalVariables>", f"{SURVEY}{REPORT}</GlobalVariables>")
        token = administrator.create_project(settings, odm=odm)
    with RedcapClient(emulator.url, token, retries=0) as redcap:
        redcap.import_data_access_groups(
            [{"data_access_group_name": "Test DAG", "unique_group_name": ""}]
        )
        redcap.import_records([visit("1", field_1="1", checkbox_field___2="1"), visit("2")])
    return token


def iter_statements() -> Iterator[tuple[str, list[str]]]:
    """Each statement of ours with the lines that say what it shows."""
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        lines = block.splitlines()
        for node in ast.parse(block).body:
            end = node.end_lineno or node.lineno
            shown: list[str] = []
            while end + len(shown) < len(lines) and lines[end + len(shown)].startswith("# > "):
                shown.append(lines[end + len(shown)].removeprefix("# > "))
            yield "\n".join(lines[node.lineno - 1 : end]), shown


def show_last_line(statement: str) -> str:
    """A statement in which the last line, where it is an expression, is shown."""
    tree = ast.parse(statement)
    bodies = [tree.body]
    if isinstance(tree.body[-1], (ast.For, ast.With)):
        bodies.append(tree.body[-1].body)
    if isinstance(tree.body[-1], ast.Try):
        bodies.append(tree.body[-1].handlers[-1].body)
    for body in bodies:
        last = body[-1]
        if isinstance(last, ast.Expr):
            show = ast.Name("show", ast.Load())
            body[-1] = ast.Expr(ast.Call(show, [last.value], []))
    return ast.unparse(ast.fix_missing_locations(tree))


def test_every_line_of_ours_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something_to_upload.txt").write_text("test upload\n")
    with RedcapEmulator(super_token=SUPER_TOKEN) as emulator:
        monkeypatch.setenv("REDCAP_API_TOKEN", make_manuals_study(emulator))
        shown: list[Any] = []
        names: dict[str, Any] = {"api_url": emulator.url, "report_id": "R-1", "show": shown.append}
        checked = 0
        for statement, expected in iter_statements():
            shown.clear()
            exec(show_last_line(statement), names)  # noqa: S102 - the page's own lines
            if expected:
                assert [repr(value) for value in shown] == expected, statement
                checked += 1
        names["redcap"].close()

    assert checked > 60
    assert (tmp_path / "streamed.txt").read_text() == "test upload\n"
    assert (tmp_path / "all_instruments_blank.pdf").read_bytes().startswith(b"%PDF")


def test_the_page_has_every_method_of_pycaps_project() -> None:
    """The names are those of PyCap 2.7.0."""
    theirs = re.findall(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    named = set(re.findall(r"project\.([a-z_]+)\(", "\n".join(theirs)))
    assert named == set(PYCAP_METHODS)


PYCAP_METHODS = [
    "create_folder_in_repository",
    "delete_arms",
    "delete_dags",
    "delete_events",
    "delete_file",
    "delete_file_from_repository",
    "delete_records",
    "delete_user_roles",
    "delete_users",
    "export_arms",
    "export_dags",
    "export_events",
    "export_field_names",
    "export_file",
    "export_file_from_repository",
    "export_file_repository",
    "export_instrument_event_mappings",
    "export_instruments",
    "export_logging",
    "export_metadata",
    "export_pdf",
    "export_project_info",
    "export_records",
    "export_repeating_instruments_events",
    "export_report",
    "export_survey_access_code",
    "export_survey_link",
    "export_survey_participant_list",
    "export_survey_queue_link",
    "export_survey_return_code",
    "export_user_dag_assignment",
    "export_user_role_assignment",
    "export_user_roles",
    "export_users",
    "export_version",
    "generate_next_record_name",
    "import_arms",
    "import_dags",
    "import_events",
    "import_file",
    "import_file_into_repository",
    "import_instrument_event_mappings",
    "import_metadata",
    "import_records",
    "import_repeating_instruments_events",
    "import_user_dag_assignment",
    "import_user_role_assignment",
    "import_user_roles",
    "import_users",
    "switch_dag",
]
