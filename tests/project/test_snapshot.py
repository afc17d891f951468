"""The snapshot file and the fingerprint."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redcap_dagster.errors import DesignError, SnapshotError
from redcap_dagster.project import ProjectAnswers, RedcapProject, parse_project

MakeAnswers = Callable[..., ProjectAnswers]


@pytest.fixture
def project(longitudinal_answers: ProjectAnswers) -> RedcapProject:
    return parse_project(longitudinal_answers)


def test_a_design_reads_back_equal(project: RedcapProject, tmp_path: Path) -> None:
    project.snapshot(tmp_path / "study.json")
    assert RedcapProject.from_snapshot(str(tmp_path / "study.json")) == project


def test_a_snapshot_leaves_one_file_that_replaces_the_old_one(
    project: RedcapProject, make_answers: MakeAnswers, tmp_path: Path
) -> None:
    path = tmp_path / "study.json"
    parse_project(make_answers()).snapshot(path)
    project.snapshot(path)
    assert list(tmp_path.iterdir()) == [path]
    assert RedcapProject.from_snapshot(path) == project


def test_a_snapshot_is_readable_json_with_its_version(
    make_answers: MakeAnswers, tmp_path: Path
) -> None:
    path = tmp_path / "study.json"
    parse_project(make_answers(info={"project_title": "Étude"})).snapshot(path)
    text = path.read_text(encoding="utf-8")
    assert "Étude" in text
    assert json.loads(text) == {
        "format": "redcap-dagster project snapshot",
        "schema_version": 1,
        "project": {
            "info": {"project_id": 15, "title": "Étude"},
            "redcap_version": "14.7.3",
            "instruments": [
                {
                    "name": "demographics",
                    "label": "Demographics",
                    "fields": [
                        {
                            "name": "record_id",
                            "instrument": "demographics",
                            "field_type": "text",
                        },
                        {
                            "name": "sex",
                            "instrument": "demographics",
                            "field_type": "radio",
                            "label": "Sex",
                            "choices": [
                                {"code": "1", "label": "Female"},
                                {"code": "2", "label": "Male"},
                            ],
                            "definition": "1, Female | 2, Male",
                            "is_required": True,
                        },
                    ],
                }
            ],
        },
    }


def test_a_snapshot_holds_no_person_and_no_time(make_answers: MakeAnswers, tmp_path: Path) -> None:
    people = {
        "project_pi_lastname": "Sentinel",
        "project_pi_email": "sentinel@example.org",
        "creation_time": "2024-10-12 16:40:37",
        "project_notes": "Call Sentinel",
    }
    parse_project(make_answers(info=people)).snapshot(tmp_path / "study.json")
    text = (tmp_path / "study.json").read_text(encoding="utf-8").casefold()
    assert "sentinel" not in text
    assert "16:40" not in text


def damaged(text: str) -> dict[str, str]:
    return {
        "cut short": text[: len(text) // 2],
        "empty": "",
        "another kind of file": '{"a": 1}',
        "a list": "[]",
        "another version": text.replace('"schema_version": 1', '"schema_version": 99'),
        "an unknown attribute": text.replace('"label"', '"etikett"', 1),
        "an attribute of another type": text.replace('"project_id": 15', '"project_id": "15"'),
        "a missing attribute": text.replace('"redcap_version": "14.7.3",', ""),
        "an unknown field type": text.replace('"radio"', '"select"'),
    }


@pytest.mark.parametrize("damage", damaged("").keys())
def test_a_damaged_snapshot_is_refused_with_advice(
    project: RedcapProject, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "study.json"
    project.snapshot(path)
    path.write_text(damaged(path.read_text(encoding="utf-8"))[damage], encoding="utf-8")
    with pytest.raises(SnapshotError, match="`redcap-dagster snapshot FILE`") as caught:
        RedcapProject.from_snapshot(path)
    assert str(path) in str(caught.value)


def test_a_snapshot_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_bytes(b"PAR1\xff\xfe")
    with pytest.raises(SnapshotError, match="cut short or not JSON"):
        RedcapProject.from_snapshot(path)


def test_an_absent_snapshot_says_how_to_write_one(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    with pytest.raises(SnapshotError) as caught:
        RedcapProject.from_snapshot(path)
    assert str(caught.value) == (
        f"There is no snapshot {path}. Write it with `redcap-dagster snapshot FILE`, or "
        "`dg utils refresh-defs-state` where a component keeps it."
    )


def test_a_snapshot_that_cannot_be_written_or_read_says_why(
    project: RedcapProject, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for folder, reason in {"absent": "No such file", "file": "Not a directory"}.items():
        with pytest.raises(SnapshotError, match=f"cannot be written: {reason}.*Name a file in"):
            project.snapshot(tmp_path / folder / "study.json")
    with pytest.raises(SnapshotError, match="is a folder"):
        project.snapshot(Path())
    with pytest.raises(SnapshotError, match="cannot be read: Is a directory"):
        RedcapProject.from_snapshot(tmp_path)


def test_the_fingerprint_follows_the_design_alone(
    project: RedcapProject, make_answers: MakeAnswers
) -> None:
    renamed = replace(
        project,
        redcap_version="15.0.0",
        info=replace(project.info, title="Another title", in_production=True),
    )
    assert renamed.fingerprint == project.fingerprint
    assert len(project.fingerprint) == 64
    assert replace(project, repeats=()).fingerprint != project.fingerprint
    assert parse_project(make_answers()).fingerprint != project.fingerprint


def test_a_design_is_shown_without_its_dictionary(project: RedcapProject) -> None:
    assert repr(project) == "RedcapProject(project_id=15, instruments=2, fields=3)"


@settings(max_examples=50)
@given(label=st.text(), note=st.text(), title=st.text())
def test_any_text_survives_a_snapshot(
    tmp_path_factory: pytest.TempPathFactory, label: str, note: str, title: str
) -> None:
    row = {
        "field_name": "record_id",
        "form_name": "demographics",
        "field_type": "text",
        "field_label": label,
        "field_note": note,
    }
    project = parse_project(
        ProjectAnswers(
            "14.7.3",
            {"project_id": 1, "project_title": title},
            [row],
            [{"instrument_name": "demographics", "instrument_label": label}],
        )
    )
    path = tmp_path_factory.mktemp("snapshot") / "study.json"
    project.snapshot(path)
    assert RedcapProject.from_snapshot(path) == project


def test_a_design_without_fields_says_that_none_holds_the_record_id(
    make_answers: MakeAnswers,
) -> None:
    project = replace(parse_project(make_answers()), instruments=())
    with pytest.raises(DesignError, match="project 15 has no field"):
        _ = project.record_id_field
