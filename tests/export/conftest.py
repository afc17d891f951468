"""A study on an emulator, and its whole flat export to compare with."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient, RetryPolicy
from redcap_dagster.emulator import RedcapEmulator, synthetic_project
from redcap_dagster.emulator.asked import AskedRequest
from redcap_dagster.emulator.synthetic.shapes import Shape
from redcap_dagster.export import ExportSettings, StudyExport, read_design
from redcap_dagster.project import RedcapProject, plan_export_columns

Row = dict[str, str]


@dataclass(frozen=True)
class Served:
    """A study that an emulator serves."""

    emulator: RedcapEmulator
    token: str
    client: RedcapClient
    project: RedcapProject

    def whole_export(self, **options: Any) -> list[Row]:
        """Rows of one flat export of everything, with the columns that the design says."""
        body = self.client.export_records_csv(
            export_survey_fields=self.project.info.surveys_enabled,
            export_data_access_groups=True,
            export_blank_for_gray_form_status=True,
            **options,
        )
        rows = csv.DictReader(io.StringIO(body.decode(), newline=""))
        names = [column.name for column in plan_export_columns(self.project)]
        return [{name: row.get(name) or "" for name in names} for row in rows]

    def record_requests(self) -> list[AskedRequest]:
        """The exports of named records that the emulator answered since last time."""
        asked = [item for item in self.emulator.requests if item.content == "record"]
        self.emulator.requests.clear()
        return [item for item in asked if item.records is not None and item.action != "import"]


def rows_of(export: StudyExport) -> list[Row]:
    """The rows of one pass of an export; "" where a column was not sent."""
    return [
        {name: text or "" for name, text in row.items()}
        for table in export.chunks()
        for row in table.to_pylist()
    ]


Serve = Callable[..., Served]
ServeXml = Callable[..., Served]


@pytest.fixture
def serve_xml() -> Iterator[ServeXml]:
    """Serves a project from its XML."""
    with RedcapEmulator() as emulator, ExitStack() as clients:

        def _serve(project_xml: str | Path, **options: Any) -> Served:
            token = emulator.add_project(project_xml, **options)
            policy = RetryPolicy(retries=4, sleep=lambda _: None)
            client = RedcapClient(emulator.url, token, retries=policy, requests_per_minute=60_000)
            clients.enter_context(client)
            return Served(emulator, token, client, read_design(client))

        yield _serve


@pytest.fixture
def serve(serve_xml: ServeXml) -> Serve:
    """Serves a made-up study."""

    def _serve(
        shape: Shape = "everything", records: int = 25, columns: int | None = None
    ) -> Served:
        return serve_xml(synthetic_project(records, seed=3, shape=shape, columns=columns))

    return _serve


def small(cells: int) -> ExportSettings:
    return ExportSettings(cells_per_request=cells)


def add_user_without_log(study: Served) -> str:
    token = study.emulator.add_user(study.token, "reader")
    study.client.import_users([{"username": "reader", "api_export": 1, "logging": 0}])
    return token
