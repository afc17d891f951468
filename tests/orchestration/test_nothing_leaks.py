"""Values, record ids and tokens are in nothing that a run leaves behind, decompressed."""

import logging
import sqlite3
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from redcap_dagster import (
    RedcapDestination,
    build_redcap_assets,
    build_redcap_destination_assets,
)
from redcap_dagster.api import RedcapClient
from tests.orchestration.sentinels import RECORD_ID, VALUE, with_sentinels

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study


@pytest.fixture
def planted(serve: "Callable[[str], Study]", study_xml: Path) -> "Study":
    """The study with sentinels, on an emulator."""
    return serve(with_sentinels(study_xml.read_text()))


def stored_bytes(home: Path) -> Iterator[tuple[str, bytes]]:
    """Everything in Dagster's home: each file, and each cell of each database, unpacked too."""
    for path in sorted(item for item in home.rglob("*") if item.is_file()):
        yield str(path), path.read_bytes()
        if path.suffix == ".db":
            yield from database_cells(path)


def database_cells(path: Path) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(path)) as database:
        tables = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608
                for cell in row:
                    content = cell if isinstance(cell, bytes) else str(cell).encode()
                    yield f"{path}:{table}", content
                    try:
                        yield f"{path}:{table} (unpacked)", zlib.decompress(content)
                    except zlib.error:
                        continue
    database.close()


def places_of(words: list[str], contents: Iterator[tuple[str, bytes]]) -> set[tuple[str, str]]:
    return {
        (place, word)
        for place, content in contents
        for word in words
        if word.lower().encode() in content.lower()
    }


def garbled() -> Callable[..., bytes]:
    """The method that exports csv, but the last row has a cell too many."""
    export = RedcapClient.export_records_csv

    def export_records_csv(client: RedcapClient, **options: Any) -> bytes:
        return export(client, **options).removesuffix(b"\n") + b",one more\n"

    return export_records_csv


@pytest.mark.parametrize("outcome", ["success", "failure", "handed over"])
def test_a_run_leaves_no_value_record_id_or_token(
    planted: "Study",
    outcome: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    home = tmp_path / "dagster_home"
    home.mkdir()
    key = "pickles" if outcome == "handed over" else None
    assets = build_redcap_assets(planted.project, out_dir=planted.out_dir, io_manager_key=key)
    resource = planted.resource()
    loaded = build_redcap_destination_assets(assets, kind="duckdb") if key else []
    resources = {
        "destination": RedcapDestination(url=f"duckdb:///{tmp_path}/warehouse.duckdb"),
        "redcap": resource,
        "pickles": dg.FilesystemIOManager(base_dir=str(tmp_path / "pickles")),
    }
    failure = ""
    if outcome == "failure":
        # Arrow's own message about such a body quotes the row.
        monkeypatch.setattr(RedcapClient, "export_records_csv", garbled())
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        try:
            result = dg.materialize([assets, *loaded], resources=resources, instance=instance)
        except dg.Failure as error:
            failure = "".join(traceback.TracebackException.from_exception(error).format())
        else:
            rejected = planted.table("rejected_values")
            assert len(rejected) > 1_000
            assert rejected[0]["value"].startswith(VALUE)
            assert any(not check.passed for check in result.get_asset_check_evaluations())
    assert bool(failure) == (outcome == "failure")
    assert (tmp_path / "pickles").exists() == (outcome == "handed over")
    assert (tmp_path / "warehouse.duckdb").exists() == (outcome == "handed over")
    printed = capfd.readouterr()
    said = "\n".join([caplog.text, printed.out, printed.err, failure, repr(resource), repr(assets)])
    contents = [*stored_bytes(home), ("said", said.encode())]
    assert len(contents) > 100
    words = [VALUE, RECORD_ID, planted.token]
    assert places_of(words, iter(contents)) == set()
    # The search does find what is there.
    assert places_of(["redcap_1"], iter(contents))
    assert not list(planted.out_dir.glob(".staging*"))
