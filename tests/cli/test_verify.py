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
EDITED = "The manifest is not as it was written."
UNREADABLE = "The manifest's proof that every cell was kept cannot be read."


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
            ["spirometry: 1,384 rows; the manifest says 1.", EDITED],
        ),
        (
            _change_manifest(lambda content: content["tables"]["spirometry"]["columns"].popitem()),
            ["spirometry: columns are not as the manifest says: ", EDITED],
        ),
        (
            _change_manifest(_receive_one_cell),
            [
                EDITED,
                "The proof does not account for every cell of fev1_l.",
                "The proof's cells_received is not the sum of its columns.",
                "records: holds more or fewer cells than came, in fev1_l.",
            ],
        ),
        (
            _change_manifest(_count_one_more),
            [
                EDITED,
                "records: holds more or fewer cells than came, in fev1_l.",
                "spirometry: holds more or fewer values than the proof, in fev1_l.",
            ],
        ),
        (
            _change_manifest(lambda content: content["export"].update(records_done=399)),
            ["399 of 400 records asked for came, by the manifest.", EDITED],
        ),
        (_change_manifest(lambda content: content["request"].update(is_whole=True)), [EDITED]),
        (_change_manifest(lambda content: content.update(extract_id="another")), [EDITED]),
        (
            _change_manifest(lambda content: content["completeness"].update(records_received=1)),
            [EDITED],
        ),
        (_change_manifest(lambda content: content["export"].pop("rows")), [EDITED, UNREADABLE]),
        (_change_manifest(lambda content: content.update(conservation=[])), [EDITED, UNREADABLE]),
        (
            _change_manifest(
                lambda content: content["conservation"]["cells_by_column"].update(fev1_l=[])
            ),
            [EDITED, UNREADABLE],
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


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("format_version"),
        lambda content: content.pop("extract_id"),
        lambda content: content.update(tables=["spirometry"]),
        lambda content: content["tables"]["spirometry"].pop("bytes"),
        lambda content: content["tables"]["spirometry"].update(rows="1384"),
        lambda content: content["tables"]["spirometry"].update(columns=None),
        lambda content: content["tables"].update(spirometry=None),
    ],
)
def test_a_manifest_that_does_not_say_what_its_tables_are_is_refused(
    change: Callable[[dict], None],  # type: ignore[type-arg]
    published: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shelf = tmp_path / "shelf"
    shutil.copytree(published, shelf, symlinks=True)
    folder = (shelf / "current").resolve()
    _change_manifest(change)(folder)
    assert main(["verify", str(shelf)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"redcap-dagster: {folder / 'manifest.json'} ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("pace", [None, "fast", [], {}, {"cells_per_request": "many"}])
def test_an_edited_manifest_does_not_stop_the_next_extract(
    pace: object, published: Path, tmp_path: Path, emulator: RedcapEmulator, owner: str
) -> None:
    shelf = tmp_path / "shelf"
    shutil.copytree(published, shelf, symlinks=True)

    def change(content: dict) -> None:  # type: ignore[type-arg]
        content["completeness"] = (
            {"pace": {**content["completeness"]["pace"], **pace}}
            if (isinstance(pace, dict))
            else pace
        )

    _change_manifest(change)((shelf / "current").resolve())
    with RedcapClient(emulator.url, owner) as client:
        extract_study(client, shelf, ExtractRequest(instruments=("enrolment",)))
    assert main(["verify", str(shelf)]) == 0


def test_a_manifest_that_does_not_say_what_it_was_is_compared_as_far_as_it_goes(
    published: Path, tmp_path: Path
) -> None:
    shelf = tmp_path / "shelf"
    shutil.copytree(published, shelf, symlinks=True)
    # As versions did that wrote no digest of it.
    _change_manifest(lambda content: content.pop("manifest_sha256"))((shelf / "current").resolve())
    assert main(["verify", str(shelf)]) == 0


@pytest.mark.parametrize("name", ["nowhere", "notes.txt", "."])
def test_what_is_no_extract_is_not_to_be_removed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").touch()
    assert main(["verify", str(tmp_path / name)]) == 1
    said = capsys.readouterr().err
    assert f"There is no extract in {tmp_path / name}. Give the folder that" in said
    assert "Remove" not in said
