"""The downstream assets in Dagster: what they publish, what they record, what they never record."""

from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from example_pipeline.analytics import SMALL_TABLES, build_analytics
from example_pipeline.queries import TABLES_READ, NothingPublishedError

NAMES = [*TABLES_READ, "study_report"]


@pytest.fixture(scope="module")
def out_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downstream") / "out"


@pytest.fixture(scope="module")
def result(shelf: Path, out_dir: Path) -> dg.ExecuteInProcessResult:
    definitions = build_analytics(shelf, out_dir)
    return dg.materialize([*(definitions.assets or []), *(definitions.asset_checks or [])])


@pytest.fixture(scope="module")
def metadata(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, object]]:
    materializations = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
    ]
    return {
        item.asset_key.path[-1]: {name: value.value for name, value in item.metadata.items()}
        for item in materializations
    }


def test_every_table_and_the_report_are_written_where_the_uri_says(
    metadata: dict[str, dict[str, object]], out_dir: Path
) -> None:
    assert sorted(metadata) == sorted(NAMES)
    assert sorted(path.name for path in out_dir.iterdir()) == sorted(
        [*(f"{name}.parquet" for name in TABLES_READ), "study_report.html"]
    )
    for name in TABLES_READ:
        path = out_dir / f"{name}.parquet"
        assert metadata[name]["dagster/uri"] == path.resolve().as_uri()
        assert metadata[name]["dagster/row_count"] == pq.read_metadata(path).num_rows


def test_every_materialization_shows_a_plot(metadata: dict[str, dict[str, object]]) -> None:
    for name in NAMES:
        assert "](data:image/png;base64," in str(metadata[name]["plot"])


@pytest.mark.usefixtures("result")
def test_every_column_of_a_table_that_has_lineage_exists(out_dir: Path) -> None:
    for small in SMALL_TABLES:
        columns = pq.read_schema(out_dir / f"{small.name}.parquet").names
        assert set(small.lineage) <= set(columns)
        read = {table for sources in small.lineage.values() for table, _ in sources}
        assert read == TABLES_READ[small.name]


def test_checks_report_counts(result: dg.ExecuteInProcessResult) -> None:
    found = {
        evaluation.check_name: (
            evaluation.passed,
            evaluation.severity,
            {name: value.value for name, value in evaluation.metadata.items()},
        )
        for evaluation in result.get_asset_check_evaluations()
    }
    assert found == {
        "every_participant_counted": (
            True,
            dg.AssetCheckSeverity.ERROR,
            {"participants_counted": 11, "participants_enrolled": 11},
        ),
        "no_implausible_measurements": (
            False,
            dg.AssetCheckSeverity.WARN,
            {"measurements_left_out": 1},
        ),
    }


def test_nothing_dagster_keeps_names_a_participant(result: dg.ExecuteInProcessResult) -> None:
    events = "\n".join(str(event) for event in result.all_events)
    ids = [f"0{1 + number % 2}-{number:03d}" for number in range(10)] + ["01-010", "01-011"]
    assert [record_id for record_id in ids if record_id in events] == []


def test_without_the_studys_tables_the_run_fails_and_writes_nothing(tmp_path: Path) -> None:
    assets = build_analytics(tmp_path / "empty", tmp_path / "out").assets or []
    with pytest.raises(NothingPublishedError, match="Materialize the study's asset"):
        dg.materialize(list(assets))
    assert not (tmp_path / "out").exists()
