"""`redcap-dagster verify` says what of an extract is not as it was published."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.cli import main
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.extract import ExtractRequest, extract_study


@pytest.fixture(scope="module")
def published(
    emulator: RedcapEmulator, owner: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A shelf with two instruments and the raw export."""
    shelf = tmp_path_factory.mktemp("published")
    request = ExtractRequest(instruments=("enrolment", "spirometry"))
    with RedcapClient(emulator.url, owner) as client:
        extract_study(client, shelf, request)
    return shelf


Change = Callable[[Path], None]


def _touch_file(folder: Path) -> None:
    with (folder / "spirometry.parquet").open("r+b") as file:
        file.seek(100)
        file.write(b"x")


def _remove_file(folder: Path) -> None:
    (folder / "enrolment.parquet").unlink()


def _add_file(folder: Path) -> None:
    (folder / "notes.txt").touch()


def _change_manifest(change: Callable[[dict], None]) -> Change:  # type: ignore[type-arg]
    def apply(folder: Path) -> None:
        path = folder / "manifest.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return apply


def _receive_one_cell(content: dict) -> None:  # type: ignore[type-arg]
    content["conservation"]["cells_by_column"]["fev1_l"][0] = 1


def _count_one_more(content: dict) -> None:  # type: ignore[type-arg]
    counts = content["conservation"]
    counts["cells_by_column"]["fev1_l"][0] += 1
    counts["cells_by_column"]["fev1_l"][1] += 1
    counts["cells_received"] += 1
    counts["cells_in_tables"] += 1


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (_touch_file, ["The file of table spirometry is not the one that was published."]),
        (_remove_file, ["The file of table enrolment is missing."]),
        (_add_file, ["The file notes.txt does not belong to the extract."]),
        (
            _change_manifest(lambda content: content["tables"]["spirometry"].update(rows=1)),
            ["spirometry: 1,384 rows; the manifest says 1."],
        ),
        (
            _change_manifest(lambda content: content["tables"]["spirometry"]["columns"].popitem()),
            ["spirometry: columns are not as the manifest says: "],
        ),
        (
            _change_manifest(_receive_one_cell),
            [
                "The proof does not account for every cell of fev1_l.",
                "The proof's cells_received is not the sum of its columns.",
                "records: holds more or fewer cells than came, in fev1_l.",
            ],
        ),
        (
            _change_manifest(_count_one_more),
            [
                "records: holds more or fewer cells than came, in fev1_l.",
                "spirometry: holds more or fewer values than the proof, in fev1_l.",
            ],
        ),
        (
            _change_manifest(lambda content: content["export"].update(records_done=399)),
            ["399 of 400 records asked for came, by the manifest."],
        ),
    ],
)
def test_verify_says_what_is_wrong_and_where(
    change: Change,
    sentences: list[str],
    published: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shelf = tmp_path / "shelf"
    shutil.copytree(published, shelf, symlinks=True)
    assert main(["verify", str(shelf)]) == 0
    assert "is as it was published" in capsys.readouterr().out
    change((shelf / "current").resolve())
    assert main(["verify", str(shelf)]) == 1
    said = capsys.readouterr().out
    for sentence in sentences:
        assert sentence in said
    things = "thing is" if len(sentences) == 1 else "things are"
    assert f"{len(sentences)} {things} wrong" in said


@pytest.mark.parametrize("name", ["nowhere", "notes.txt", "."])
def test_what_is_no_extract_is_not_to_be_removed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").touch()
    assert main(["verify", str(tmp_path / name)]) == 1
    said = capsys.readouterr().err
    assert f"There is no extract in {tmp_path / name}. Give the folder that" in said
    assert "Remove" not in said
