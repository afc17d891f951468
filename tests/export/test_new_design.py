"""A design that changes before, between or during exports: seen, and nothing of the old kept."""

from pathlib import Path

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ExportError
from redcap_dagster.export import (
    ExportSeries,
    ExportSettings,
    StudyExport,
    read_design,
)
from tests.export.conftest import Serve, Served, add_user_without_log, rows_of


@pytest.mark.parametrize("reads_log", [True, False])
def test_a_new_design_ends_the_export_and_leaves_nothing_of_the_old(
    reads_log: bool, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study = serve("classic")
    token = study.token if reads_log else add_user_without_log(study)

    def export_while_it_changes() -> None:
        with (
            RedcapClient(study.emulator.url, token, requests_per_minute=60_000) as client,
            StudyExport(client, study.project, spool=tmp_path) as export,
        ):
            rows_of(export)
            change_a_label(study)
            export.settle()

    with pytest.raises(ExportError, match="design was changed while it was exported"):
        export_while_it_changes()
    assert not list(tmp_path.iterdir())
    assert "is kept" not in caplog.text


def change_a_label(study: Served) -> None:
    """Change the design without fields or rows that come or go."""
    dictionary = study.client.export_metadata()
    dictionary[-1]["field_label"] = "Another label"
    study.client.import_metadata(dictionary)


def test_a_design_that_was_changed_before_the_export_began_is_seen(serve: Serve) -> None:
    study = serve("classic")
    change_a_label(study)
    with (
        pytest.raises(ExportError, match="design was changed while it was exported"),
        StudyExport(study.client, study.project),
    ):
        pytest.fail("it began with an old design")


def test_a_design_that_was_changed_between_two_exports_of_a_series_is_seen(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = serve("classic")
    series = ExportSeries.begin(study.project, ExportSettings())
    with StudyExport(study.client, study.project, series=series) as export:
        rows_of(export)
        assert export.settle()
        first = export.fence
    assert series.fence == first
    change_a_label(study)
    # However long ago the design was read: what the log says first is not asked for again.
    monkeypatch.delattr("redcap_dagster.export.look.read_fence")
    with (
        pytest.raises(ExportError, match="design was changed while it was exported"),
        StudyExport(study.client, study.project, series=series),
    ):
        pytest.fail("it began with an old design")


def test_a_change_of_the_design_that_is_in_the_design_stops_no_export(
    serve: Serve,
) -> None:
    study = serve("classic")
    change_a_label(study)
    with StudyExport(study.client, read_design(study.client)) as export:
        rows = rows_of(export)
        assert export.settle()
    assert rows == study.whole_export()
    assert export.facts()["rounds"] == 1
