"""In an object store too, readers see a whole extract or the one before."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from redcap_dagster.errors import ConfigError, TableError
from redcap_dagster.project import DictionaryField, RedcapProject
from redcap_dagster.tables import (
    ExtractWriter,
    current_extract,
    find_shelves,
    has_extract,
    plan_tables,
    published_path,
    read_published,
    to_location,
    verify_extract,
)
from redcap_dagster.tables.object_shelf import ObjectShelf
from tests.object_stores import AZURE_KEY
from tests.tables.visits import AGE, USERS, MakeChunk, export


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where extracts are written before they are uploaded; nothing may stay there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    left = [path for path in tmp_path.glob("redcap-dagster-staging-*/*") if path.name != ".lock"]
    assert left == []


@pytest.fixture
def memory() -> str:
    """A place in the memory of this process, with the rules of a store and without its client."""
    return f"memory://{uuid4().hex}"


STORES = ["s3", "gs", "az", "memory"]


@pytest.fixture(params=STORES)
def shelf(request: pytest.FixtureRequest) -> str:
    """A place in a store of each kind."""
    return f"{request.getfixturevalue(request.param)}/asthma"


def publish(shelf: str, project: RedcapProject, name: str, extract_id: str | None = None) -> None:
    """Publish one small table."""
    with ExtractWriter(shelf, project, [], extract_id=extract_id) as writer:
        writer.write_table(name, USERS)
        writer.publish()


def extracts(shelf: str) -> set[str]:
    """Names of the extracts that lie in the store."""
    return {place.name for place in (to_location(shelf) / "extracts").iterdir()}


def test_a_published_extract_reads_back_as_it_was_split(
    shelf: str, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    specs = plan_tables(project)
    assert not has_extract(shelf)
    with ExtractWriter(shelf, project, specs) as writer:
        first = writer.write(export(project, make_chunk, "41", "x", ""))
        assert not has_extract(shelf)
        published = writer.publish({"redcap_version": "14.7.3"})
    for spec in specs:
        assert read_published(shelf, spec.name).equals(first.tables[spec.name])
    assert read_published(shelf, "visit", ["age", "record_id"]).to_pydict() == {
        "age": [41, None],
        "record_id": ["000", "001"],
    }
    assert published == current_extract(shelf)
    assert str(published_path(shelf, "visit")) == (
        f"{shelf}/extracts/{published.extract_id}/visit.parquet"
    )
    assert verify_extract(published.path) == ()


def test_a_part_of_the_study_leaves_the_other_tables_as_they_were(
    shelf: str, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    with ExtractWriter(shelf, project, plan_tables(project), extract_id="all") as writer:
        writer.write(export(project, make_chunk, "1", "x"))
        writer.write_table("users", USERS)
        whole = writer.publish()
    with ExtractWriter(
        shelf, project, plan_tables(project, ["enrolment"]), extract_id="part"
    ) as writer:
        writer.write(
            export(project, make_chunk).select(["record_id", "name", "enrolment_complete"])
        )
        part = writer.publish()
    assert part.tables["visit"] == whole.tables["visit"]
    assert part.tables["enrolment"].extract_id == "part"
    assert read_published(shelf, "visit")["age"].to_pylist() == [1, None]
    assert read_published(shelf, "rejected_values")["value"].to_pylist() == ["x"]
    assert verify_extract(part.path) == verify_extract(whole.path) == ()


def test_one_extract_before_the_current_one_is_kept(shelf: str, project: RedcapProject) -> None:
    for name in ("one", "two", "three"):
        publish(shelf, project, "users", name)
        assert current_extract(shelf).extract_id == name
    assert extracts(shelf) == {"two", "three"}
    with pytest.raises(TableError, match=r"Extract two has been published in .*asthma before"):
        publish(shelf, project, "users", "two")


def test_publishers_side_by_side_lose_none_of_each_others_tables(
    shelf: str, project: RedcapProject
) -> None:
    names = [f"table_{number}" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: publish(shelf, project, name), names))
    extract = current_extract(shelf)
    assert set(extract.tables) == set(names)
    assert verify_extract(extract.path) == ()
    assert len(extracts(shelf)) == 2


def test_who_is_overtaken_takes_over_what_the_faster_one_has_published(
    shelf: str,
    make_project: Callable[..., RedcapProject],
    make_chunk: MakeChunk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weight = DictionaryField("weight", "lab", "text", validation="integer")
    project = make_project({"enrolment": ["record_id"], "visit": [AGE], "lab": [weight]})
    rows = make_chunk(project, [{"record_id": "001", "age": "old", "weight": "old"}])

    def write(chunk: pa.Table, instruments: list[str], extract_id: str | None = None) -> None:
        specs = plan_tables(project, instruments)
        with ExtractWriter(shelf, project, specs, extract_id=extract_id) as writer:
            writer.write(chunk)
            writer.publish()

    def instrument(name: str, text: str) -> pa.Table:
        columns = {"visit": ["age", "visit_complete"], "lab": ["weight", "lab_complete"]}[name]
        row = {"record_id": "001", columns[0]: text}
        return make_chunk(project, [row]).select(["record_id", *columns])

    faster: list[Callable[[], None]] = [
        lambda: write(instrument("lab", "new"), ["lab"]),
        lambda: publish(shelf, project, "users"),
        lambda: publish(shelf, project, "metadata"),
    ]
    take_number = ObjectShelf.take_number

    def overtaken(self: ObjectShelf, number: int, extract_id: str) -> None:
        if extract_id == "slow" and faster:
            faster.pop(0)()
        take_number(self, number, extract_id)

    write(rows, ["enrolment", "visit", "lab"])
    monkeypatch.setattr(ObjectShelf, "take_number", overtaken)
    write(instrument("visit", "mine"), ["visit"], "slow")
    assert faster == []
    published = current_extract(shelf)
    assert published.extract_id == "slow"
    tables = {"enrolment", "visit", "lab", "rejected_values", "users", "metadata"}
    assert set(published.tables) == tables
    rejected = read_published(shelf, "rejected_values").select(["field", "value"]).to_pylist()
    assert rejected == [{"field": "age", "value": "mine"}, {"field": "weight", "value": "new"}]
    assert verify_extract(published.path) == ()


def test_an_extract_that_does_not_arrive_whole_is_not_published(
    s3: str, project: RedcapProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = f"{s3}/asthma"
    publish(shelf, project, "users", "one")
    find = to_location(shelf).fs.find

    def short(path: str, **options: object) -> dict[str, dict[str, int]]:
        found = find(path, **options)
        return {name: {"size": entry["size"] - 1} for name, entry in found.items()}

    monkeypatch.setattr(type(to_location(shelf).fs), "find", staticmethod(short))
    with pytest.raises(TableError, match=r"2 of 2 files do not lie in .*two as they were sent: "):
        publish(shelf, project, "metadata", "two")
    monkeypatch.undo()


def test_a_publication_whose_answer_was_lost_is_one(shelf: str, project: RedcapProject) -> None:
    publish(shelf, project, "users", "one")
    place = to_location(shelf)
    assert not isinstance(place, Path)
    ObjectShelf(place).take_number(1, "one")  # the client sends it once more
    assert current_extract(shelf).extract_id == "one"


def test_extracts_that_were_never_published_are_cleared_away_after_a_day(
    shelf: str, project: RedcapProject
) -> None:
    place = to_location(shelf) / "extracts"
    for name in ("20260101T000000Z-00000000", "29990101T000000Z-00000000"):
        (place / name).mkdir(parents=True, exist_ok=True)
        (place / name / "visit.parquet").write_bytes(b"cut")
    publish(shelf, project, "users", "one")
    assert extracts(shelf) == {"29990101T000000Z-00000000", "one"}


KILLED = """
import sys, tempfile, time
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import ExtractWriter, plan_tables
from redcap_dagster.tables.object_shelf import ObjectShelf
import pyarrow as pa

def stop(*_):
    print("uploaded", flush=True)
    time.sleep(60)

tempfile.tempdir = sys.argv[3]
ObjectShelf.take_number = stop
project = RedcapProject.from_snapshot(sys.argv[1])
with ExtractWriter(sys.argv[2], project, plan_tables(project), extract_id="killed") as writer:
    writer.write_table("users", pa.table({"username": ["ada"]}))
    writer.publish()
"""


@pytest.mark.parametrize("store", ["s3", "gs", "az"])
def test_a_process_that_is_killed_before_its_last_step_has_published_nothing(
    tmp_path: Path, store: str, project: RedcapProject, request: pytest.FixtureRequest
) -> None:
    snapshot, shelf = tmp_path / "study.json", f"{request.getfixturevalue(store)}/asthma"
    project.snapshot(snapshot)
    publish(shelf, project, "metadata", "before")
    command = [sys.executable, "-c", KILLED, str(snapshot), shelf, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "uploaded\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert current_extract(shelf).extract_id == "before"
    assert set(current_extract(shelf).tables) == {"metadata"}
    publish(shelf, project, "users", "after")  # and `scratch` sees what it leaves on the disk
    assert set(current_extract(shelf).tables) == {"metadata", "users"}


def test_a_changed_missing_or_strange_file_is_found(shelf: str, project: RedcapProject) -> None:
    with ExtractWriter(shelf, project, plan_tables(project)) as writer:
        place = writer.publish().path
    (place / "visit.parquet").unlink()
    (place / "notes.txt").write_text("x")
    damaged = bytearray((place / "enrolment.parquet").read_bytes())
    damaged[10] ^= 1
    (place / "enrolment.parquet").write_bytes(damaged)
    assert verify_extract(place) == (
        "The file of table enrolment is not the one that was published.",
        "The file of table visit is missing.",
        "The file notes.txt does not belong to the extract.",
    )


def test_what_is_not_there_is_named(shelf: str, project: RedcapProject) -> None:
    with pytest.raises(TableError, match=r"Nothing has been published in .*asthma\. Materialize"):
        read_published(shelf, "visit")
    with pytest.raises(TableError, match=r"holds no extract: it has no manifest\.json"):
        verify_extract(shelf)
    assert find_shelves(shelf) == []
    publish(f"{shelf}/bucket-1-of-2", project, "users")
    with pytest.raises(TableError, match=r"There is no table visits in .* It has: users"):
        published_path(f"{shelf}/bucket-1-of-2", "visits")
    assert [str(place) for place in find_shelves(shelf)] == [f"{shelf}/bucket-1-of-2"]


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("s3", "not found: The specified bucket does not exist"),
        ("gs", r"not found: http://.*-that-is-not-there/o"),
        ("az", "No such container"),
    ],
)
def test_a_bucket_that_is_not_there_is_one_clear_sentence(
    store: str, reason: str, project: RedcapProject, request: pytest.FixtureRequest
) -> None:
    missing = f"{request.getfixturevalue(store)}-that-is-not-there/asthma"
    with pytest.raises(TableError, match=f"could not be written in {store}://.*: {reason}. What"):
        publish(missing, project, "users")


def test_azure_without_the_right_key_is_one_clear_sentence(
    az: str, azure_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = UPath(f"{az}/asthma", connection_string=azure_server.replace(AZURE_KEY, "AAAA"))
    with pytest.raises(TableError, match=r"Server failed to authenticate.*signature\.$") as caught:
        read_published(wrong, "users")
    assert "\n" not in str(caught.value)
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    fsspec.get_filesystem_class("az").clear_instance_cache()
    with pytest.raises(ConfigError, match="its client finds no credentials"):
        read_published("az://another/asthma", "users")


def test_a_client_that_refuses_its_settings_is_not_told_to_be_azure() -> None:
    with pytest.raises(ValueError, match="access must be one of"):
        read_published(UPath("gs://bucket/asthma", access="all"), "users")


def test_a_store_that_is_away_is_one_clear_sentence(s3: str) -> None:
    away = UPath(f"{s3}/asthma", client_kwargs={"endpoint_url": "http://127.0.0.1:1"})
    with pytest.raises(TableError, match=r"could not be read from s3://.*Could not connect"):
        read_published(away, "users")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ftp://example.org/asthma", "cannot be published under ftp://"),
        ("https://example.org/asthma", "cannot be published under https://"),
        ("gs://bucket/asthma", r"pip install 'redcap-dagster\[gcs\]'"),
        ("az://container/asthma", r"pip install 'redcap-dagster\[azure\]'"),
    ],
)
def test_a_place_that_cannot_be_is_refused_by_name(
    address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in ("gcsfs", "adlfs"):
        monkeypatch.setitem(sys.modules, client, None)  # what Python takes for not installed
    registry = sys.modules["fsspec.registry"]
    monkeypatch.setattr(registry, "_registry", {})
    monkeypatch.setattr(registry, "registry", {})
    with pytest.raises(ConfigError, match=message):
        has_extract(address)


def test_a_folder_may_be_given_as_a_url(tmp_path: Path) -> None:
    folder = tmp_path / "asthma"
    assert to_location(f"file://{folder}") == to_location(str(folder)) == folder
    assert isinstance(to_location(f"file://{folder}"), Path)


def test_pyarrow_reads_a_published_file_by_its_address(shelf: str, project: RedcapProject) -> None:
    publish(shelf, project, "users")
    path = published_path(shelf, "users")
    assert not isinstance(path, Path)
    assert pq.read_table(path.path, filesystem=path.fs).equals(USERS)
