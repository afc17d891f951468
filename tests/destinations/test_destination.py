"""Addresses of destinations, and what each kind of database cannot do or does not allow."""

import multiprocessing
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from redcap_dagster.destinations import Destination, load_extract
from redcap_dagster.destinations.statements import quoted
from redcap_dagster.errors import ConfigError, DestinationError
from redcap_dagster.tables import PublishedExtract

if TYPE_CHECKING:
    from tests.destinations.conftest import Publish, Warehouse

Visits = Callable[..., pa.Table]

HOLD_FILE = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("duckdb:///data/a.duckdb", "data/a.duckdb"),
        ("duckdb:////srv/my%20data/a.db", "/srv/my data/a.db"),
    ],
)
def test_an_address_of_duckdb_is_a_path(url: str, path: str) -> None:
    assert (Destination(url).kind, Destination(url).path) == ("duckdb", Path(path))


def test_a_folder_that_would_be_a_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match="has three slashes before a path from this folder"):
        Destination("duckdb://data/a.duckdb")


@pytest.mark.parametrize("url", ["", "data/a.duckdb", "duckdb:///:memory:", "mysql://zq@host/x"])
def test_other_addresses_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="names no database to load into") as caught:
        Destination(url)
    assert "zq" not in str(caught.value)


def test_a_password_is_in_no_repr() -> None:
    assert repr(Destination("postgres://me:zq@host/db")) == "Destination(schema='redcap')"


@pytest.mark.parametrize(
    ("url", "package"),
    [("duckdb:///a.duckdb", "duckdb"), ("postgresql://host/db", "postgresql")],
)
def test_a_driver_that_is_not_installed_is_named(
    url: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("duckdb", "adbc_driver_postgresql.dbapi"):
        monkeypatch.setitem(sys.modules, module, None)
    with (
        pytest.raises(ConfigError, match=rf"pip install 'redcap-dagster\[{package}\]'"),
        Destination(url).open(),
    ):
        pass


def test_a_duckdb_file_is_for_its_owner_alone(
    tmp_path: Path, publish: "Publish", visits: Visits
) -> None:
    path = tmp_path / "new" / "study.duckdb"
    load_extract(publish({"visits": visits(["1"])}), Destination(f"duckdb:///{path}"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_another_program_has_open_is_refused(
    tmp_path: Path, publish: "Publish", visits: Visits
) -> None:
    extract = publish({"visits": visits(["1"])})
    destination = Destination(f"duckdb:///{tmp_path}/study.duckdb")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_FILE, str(destination.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(DestinationError, match="another program has it open"):
            load_extract(extract, destination)
        other.communicate()
    load_extract(extract, destination)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.duckdb"
    path.write_text("a" * 10_000)
    with (
        pytest.raises(DestinationError, match=r"could not open study\.duckdb: the file cannot be"),
        Destination(f"duckdb:///{path}").open(),
    ):
        pass
    assert path.read_text() == "a" * 10_000


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DestinationError, match="cannot be written: "),
        Destination(f"duckdb:///{tmp_path}/file/study.duckdb").open(),
    ):
        pass


def test_loads_side_by_side_wait_for_each_other(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    keys = [f"bucket-{number}-of-4" for number in range(4)]
    extracts = {key: publish({"visits": visits([key])}, key) for key in keys}
    failures: list[BaseException] = []

    def load(key: str) -> None:
        try:
            load_extract(extracts[key], warehouse.destination)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=load, args=[key]) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert warehouse.rows("visits") == [(key, key) for key in keys]


def test_long_names_are_cut_and_told_apart(
    postgresql: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    first, second = "a" * 63 + "b", "a" * 63 + "c"
    table = visits(["1"], **{first: ["x"], second: ["y"]})
    extract = publish({"t" * 64: table})
    for _ in range(2):
        (loaded,) = load_extract(extract, postgresql.destination)
    assert len(loaded.name) == 63
    assert postgresql.rows(loaded.name) == [("1", "x", "y")]
    comments = postgresql.table(loaded.name).comments
    assert [comment.split(":")[0] for comment in comments.values()][1:] == [first, second]


def test_a_table_of_too_many_columns_is_refused_by_name(
    postgresql: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    wide = visits(["1"], **{f"c{number}": ["x"] for number in range(1600)})
    with pytest.raises(DestinationError, match=r"Table wide has 1601 columns, and PostgreSQL hold"):
        load_extract(publish({"wide": wide}), postgresql.destination)


def test_a_text_that_postgresql_cannot_hold_is_told_without_the_text(
    postgresql: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    extract = publish({"visits": visits(["zq"], note=["zq\0zq"])})
    with pytest.raises(
        DestinationError, match=r"table visits: .* such as a NUL \(SQLSTATE"
    ) as caught:
        load_extract(extract, postgresql.destination)
    assert "zq" not in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "column", "reason"),
    [
        (None, "xmin", "a column has a name that PostgreSQL keeps for itself, such as xmin"),
        ("pg_asthma", "age", "PostgreSQL keeps schemas that begin with pg_ for itself"),
    ],
)
def test_a_name_that_postgresql_keeps_for_itself_is_told(
    postgresql: "Warehouse",
    publish: "Publish",
    visits: Visits,
    schema: str | None,
    column: str,
    reason: str,
) -> None:
    extract = publish({"visits": visits(["1"], **{column: [40]})})
    place = replace(postgresql.destination, schema=schema or postgresql.destination.schema)
    with pytest.raises(DestinationError, match=reason):
        load_extract(extract, place)


def test_a_schema_of_duckdb_is_the_same_in_capitals(
    tmp_path: Path, publish: "Publish", visits: Visits
) -> None:
    url = f"duckdb:///{tmp_path}/study.duckdb"
    for schema in ("Asthma", "asthma"):
        (loaded,) = load_extract(publish({"visits": visits(["1"])}), Destination(url, schema))
    assert not loaded.is_new
    with Destination(url).open() as database:
        assert database.execute("select record_id from asthma.visits") == [("1",)]
        database.execute('create table asthma."Users" (name text)')
    with pytest.raises(DestinationError, match="table users already, which was not made by"):
        load_extract(publish({"users": pa.table({"name": ["ada"]})}), Destination(url, "asthma"))


def _load_where_the_disk_is_full(extract: PublishedExtract, file: Path) -> None:
    room = file.stat().st_size + 4_096
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    with pytest.raises(DestinationError, match=r"could not write study.duckdb: the disk is full"):
        load_extract(extract, Destination(f"duckdb:///{file}"))


def test_a_disk_that_is_full_leaves_the_rows_of_duckdb_and_is_told(
    tmp_path: Path, publish: "Publish", visits: Visits
) -> None:
    file = tmp_path / "study.duckdb"
    place = Destination(f"duckdb:///{file}")
    load_extract(publish({"visits": visits(["1"])}), place)
    many = visits([token_hex(50) for _ in range(20_000)])
    arguments = (publish({"visits": many}), file)
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_load_where_the_disk_is_full, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0
    with place.open() as database:
        assert database.execute("select record_id from redcap.visits") == [("1",)]


def test_a_type_that_no_table_of_a_study_has_is_refused_by_name(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    odd = visits(["1"], small=pa.array([1], pa.int8()))
    with pytest.raises(DestinationError, match="Column small of table odd is of type int8"):
        load_extract(publish({"odd": odd}), warehouse.destination)


def test_a_view_on_a_table_that_must_be_made_anew_is_not_dropped(
    postgresql: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    load_extract(publish({"visits": visits(["1"], age=[40])}), postgresql.destination)
    old, now = postgresql.place("old"), postgresql.place("visits")
    postgresql.ask(f"create view {old} as select age from {now}")  # noqa: S608
    extract = publish({"visits": visits(["1"], age=["x"])})
    with pytest.raises(
        DestinationError, match=r"depend on a table .* drop them first \(SQLSTATE 2BP01"
    ):
        load_extract(extract, postgresql.destination, schema_changes="replace")
    # It sees what is loaded as long as the table is only filled.
    load_extract(publish({"visits": visits(["1"], age=[41])}), postgresql.destination)
    assert postgresql.rows("old") == [(41,)]


@pytest.fixture
def role(postgresql: "Warehouse") -> Iterator[str]:
    """A role without any right in the schema, which is there."""
    name = f"redcap_test_{token_hex(4)}"
    postgresql.ask(f"create role {name} login")
    postgresql.ask(f"create schema {quoted(postgresql.destination.schema)}")
    yield name
    postgresql.ask(f"drop owned by {name}")
    postgresql.ask(f"drop role {name}")


def test_the_rights_that_the_page_names_are_enough(
    postgresql: "Warehouse", role: str, publish: "Publish", visits: Visits
) -> None:
    url = postgresql.destination.url.replace("postgres@", f"{role}@")
    schema = postgresql.destination.schema
    extract = publish({"visits": visits(["1"])}, "a")
    with pytest.raises(DestinationError, match="lacks a right"):
        load_extract(extract, Destination(url, schema))
    with pytest.raises(DestinationError, match="prepare the schema nobodys: the user lacks"):
        load_extract(extract, Destination(url, "nobodys"))
    postgresql.ask(f"grant usage, create on schema {quoted(schema)} to {role}")
    for _ in range(2):
        load_extract(extract, Destination(url, schema))
    assert postgresql.rows("visits") == [("1", "a")]


@pytest.mark.parametrize(
    "url", ["postgresql://zq:zq@127.0.0.1:1/x", "postgresql://postgres:zq@127.0.0.1/redcap_zq_test"]
)
@pytest.mark.usefixtures("postgresql_url")
def test_a_server_that_cannot_be_reached_is_told_without_the_address(url: str) -> None:
    with pytest.raises(DestinationError) as caught, Destination(url).open():
        pass
    assert "could not be reached: nobody answers, or the user, password" in str(caught.value)
    assert "zq" not in str(caught.value)
    assert caught.value.retryable
