"""A study with its tables in S3 and Dagster's storage in PostgreSQL, for workers to work on."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from example_pipeline.study.generate import make_study
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.export import read_design
from tests.scaling.cluster import PARTICIPANTS, ROOT, Cluster


@contextmanager
def own_database(url: str) -> Iterator[str]:
    """A PostgreSQL database that nobody else uses."""
    psycopg2 = pytest.importorskip("psycopg2", reason="the group `scaling` is not installed")
    name = f"dagster_test_{uuid4().hex}"

    def execute(statement: str) -> None:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        connection.cursor().execute(statement)
        connection.close()

    execute(f"create database {name}")
    try:
        # The driver by its name: SQLAlchemy 2.1 would look for another one.
        yield f"{url.rpartition('/')[0]}/{name}".replace("postgresql:", "postgresql+psycopg2:")
    finally:
        execute(f"drop database {name} with (force)")


@pytest.fixture
def cluster(
    tmp_path: Path, s3: str, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """The services, and nobody working yet."""
    pytest.importorskip("dagster_postgres", reason="the group `scaling` is not installed")
    project_xml = tmp_path / "study.xml"
    project_xml.write_bytes(make_study(seed=3, participants=PARTICIPANTS))
    with ExitStack() as running:
        emulator = running.enter_context(RedcapEmulator())
        token = emulator.add_project(project_xml)
        database = running.enter_context(own_database(postgresql_url))
        home = tmp_path / "dagster_home"
        home.mkdir()
        (home / "dagster.yaml").write_text(
            f"storage:\n  postgres:\n    postgres_url: {database}\ntelemetry:\n  enabled: false\n"
        )
        with RedcapClient(emulator.url, token) as client:
            read_design(client).snapshot(tmp_path / "study.json")
        for name, value in {
            "DAGSTER_HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "REDCAP_API_URL": emulator.url,
            "REDCAP_API_TOKEN": token,
            "STUDY_SNAPSHOT": str(tmp_path / "study.json"),
            "STUDY_TABLES": f"{s3}/asthma",
            "STUDY_QUEUE": f"redcap-{uuid4().hex}",
            "TMPDIR": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        emulator.requests.clear()
        log = running.enter_context((tmp_path / "processes.log").open("wb"))
        cluster = Cluster(emulator, f"{s3}/asthma", dict(os.environ), log)
        running.callback(cluster.stop)
        yield cluster
