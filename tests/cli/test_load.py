"""`redcap-dagster load`: what was published, in a database."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from redcap_dagster.cli import main
from redcap_dagster.destinations import Destination
from redcap_dagster.project import DictionaryField, Instrument, ProjectInfo, RedcapProject
from redcap_dagster.tables import ExtractWriter

PAGE = Path(__file__).parents[2] / "docs" / "destinations.md"
PROJECT = RedcapProject(
    info=ProjectInfo(project_id=7, title="Study"),
    redcap_version="14.7.3",
    instruments=(Instrument("visits", "Visits", (DictionaryField("id", "visits", "text"),)),),
)
Publish = Callable[..., None]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Publishes tables of one column in `data/my_study`, or in a partition there."""
    monkeypatch.chdir(tmp_path)

    def _publish(
        partition: str | None = None, *, is_whole: bool = True, **tables: list[str]
    ) -> None:
        shelf = Path("data", "my_study", partition or "")
        with ExtractWriter(shelf, PROJECT, []) as writer:
            for name, ids in tables.items():
                writer.write_table(name, pa.table({"id": pa.array(ids, pa.string())}))
            request = {} if is_whole else {"request": {"is_whole": False}}
            writer.publish({"project_id": 7, "partition": partition, **request})

    return _publish


def test_the_pages_own_command_loads_a_study_and_its_partitions(
    publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(users=["ada"], visits=["of the time before there were partitions"])
    publish("a", visits=["1"])
    publish("b", visits=["2", "3"])
    page = PAGE.read_text(encoding="utf-8")
    (command,) = re.findall(r"```console\nredcap-dagster (.*?)\n```", page)
    for _ in range(2):
        assert main(command.split()) == 0
        assert capsys.readouterr().out == "asthma.users: 1 row\nasthma.visits: 3 rows\n"
    with Destination("duckdb:///data/warehouse.duckdb").open() as database:
        rows = database.execute("select * from asthma.visits order by 1")
    assert rows == [("1", "a"), ("2", "b"), ("3", "b")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("data/my_study", "Say where to load with --to, or set REDCAP_DESTINATION_URL."),
        ("data/my_study --to postgresql://me:zq@host/db", "this one holds a password"),
        ("data/my_study --to postgresql://me:zq[@host/db", "this one holds a password"),
        ("data/my_study --to postgresql://me@host/db?password=zq", "this one holds a password"),
        ("data/my_study --to postgresql://me@host/db?a=b&sslpassword=zq", "holds a password"),
        ("data/my_study --to duckdb://[zq/a.duckdb", "The address names no database"),
        ("nowhere --to duckdb:///a.duckdb", "Nothing has been published in nowhere."),
        ("data/my_study --to duckdb:///a.duckdb --tables x", "There is no table x in data/my_"),
    ],
)
def test_what_it_cannot_do_it_says(
    publish: Publish,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    said: str,
) -> None:
    monkeypatch.delenv("REDCAP_DESTINATION_URL", raising=False)
    publish(users=["ada"])
    assert main(["load", *arguments.split()]) == 1
    answer = capsys.readouterr()
    assert said in answer.err
    assert "zq" not in answer.out + answer.err
    assert not Path("a.duckdb").exists()


def test_the_address_can_come_from_the_environment(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDCAP_DESTINATION_URL", "duckdb:///a.duckdb")
    publish(users=["ada"], visits=["1"])
    assert main(["load", "data/my_study", "--tables", "users"]) == 0
    assert capsys.readouterr().out == "redcap.users: 1 row\n"


def test_a_part_of_a_study_takes_the_place_of_the_whole_only_where_that_is_said(
    publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["load", "data/my_study", "--to", "duckdb:///data/warehouse.duckdb"]
    publish(visits=["1", "2", "3"])
    assert main(command) == 0
    publish(visits=["2"], is_whole=False)
    assert main(command) == 1
    assert "data/my_study holds a part of a study" in capsys.readouterr().err
    with Destination("duckdb:///data/warehouse.duckdb").open() as database:
        assert database.execute("select count(*) from redcap.visits") == [(3,)]
    assert main([*command, "--part", "--schema", "part"]) == 0
    assert capsys.readouterr().out == "part.visits: 1 row\n"


def test_the_folder_that_export_names_is_the_studys(
    publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(users=["ada"], visits=["1", "2"])
    command = ["load", "data/my_study/current/", "--to", "duckdb:///data/warehouse.duckdb"]
    assert main(command) == 0
    assert capsys.readouterr().out == "redcap.users: 1 row\nredcap.visits: 2 rows\n"


def test_of_an_export_into_this_folder_it_is_current(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(visits=["1", "2"])
    monkeypatch.chdir(Path("data", "my_study"))
    assert main(["load", "current", "--to", "duckdb:///warehouse.duckdb"]) == 0
    assert capsys.readouterr().out == "redcap.visits: 2 rows\n"


def test_a_study_that_is_published_in_a_folder_of_that_name_is_the_one_that_is_loaded(
    publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(visits=["1", "2"])
    Path("data", "my_study").rename(Path("data", "current"))
    publish(visits=["of another study"])
    command = ["load", "data/current", "--to", "duckdb:///data/warehouse.duckdb"]
    assert main(command) == 0
    assert capsys.readouterr().out == "redcap.visits: 2 rows\n"


def test_the_folder_above_several_studies_is_refused(
    publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(visits=["1", "2"])
    Path("data", "my_study").rename(Path("data", "another"))
    publish(users=["ada"], visits=["3"])
    command = ["load", "data", "--to", "duckdb:///warehouse.duckdb"]
    assert main(command) == 1
    assert "data holds more than one study, or one study more" in capsys.readouterr().err
    assert not Path("warehouse.duckdb").exists()


def test_buckets_that_were_never_published_are_missed(
    publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(users=["ada"], visits=["1", "2", "3"])
    publish("bucket-0-of-3", visits=["1"])
    publish("bucket-2-of-3", visits=["3"])
    command = ["load", "data/my_study", "--to", "duckdb:///data/warehouse.duckdb"]
    assert main(command) == 1
    assert "holds a part of a study: 1 of the 3 buckets" in capsys.readouterr().err
    assert main([*command, "--part"]) == 0
    publish("bucket-1-of-3", visits=["2"])
    assert main(command) == 0
    assert "redcap.visits: 3 rows" in capsys.readouterr().out
