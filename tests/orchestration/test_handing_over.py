"""Frames of the tables, handed to whatever IO manager the user has."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from redcap_dagster import build_redcap_assets, record_partitions
from redcap_dagster.tables import read_published, to_pandas
from tests.orchestration.runs import in_one_run

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
PAGE = Path(__file__).parents[2] / "docs" / "assets.md"
RECORDS = {"records", "enrolment", "rejected_values", "users"}


class Keeper(dg.IOManager):
    """Keeps what it is handed, by table and partitions."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, ...], Any] = {}

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        keys = sorted(context.asset_partition_keys) if context.has_asset_partitions else []
        self.kept[(context.asset_key.path[-1], *keys)] = obj

    def load_input(self, context: dg.InputContext) -> Any:
        return self.kept[(context.asset_key.path[-1],)]


def test_each_table_that_is_selected_is_handed_over_as_a_frame(study: "Study") -> None:
    keeper = Keeper()
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, io_manager_key="warehouse")
    result = dg.materialize(
        [assets],
        resources={"redcap": study.resource(), "warehouse": keeper},
        selection=[*RECORDS],
        run_config=QUIET,
    )
    assert {key for (key,) in keeper.kept} == RECORDS
    for (name,), frame in keeper.kept.items():
        pd.testing.assert_frame_equal(frame, to_pandas(read_published(study.out_dir, name)))
    (event,) = result.asset_materializations_for_node("redcap_1")[:1]
    assert "dagster/column_schema" in event.metadata
    assert result.get_asset_check_evaluations()


def test_a_run_of_several_partitions_hands_over_one_frame(study: "Study") -> None:
    keeper = Keeper()
    partitions = record_partitions(3)
    first, second, _ = partitions.get_partition_keys()
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        io_manager_key="warehouse",
    )
    dg.materialize(
        [assets],
        resources={"redcap": study.resource(), "warehouse": keeper},
        selection=["enrolment"],
        tags=in_one_run([first, second]),
        run_config=QUIET,
    )
    pieces = [
        to_pandas(read_published(study.out_dir / key, "enrolment")) for key in (first, second)
    ]
    (frame,) = keeper.kept.values()
    assert list(keeper.kept) == [("enrolment", first, second)]
    pd.testing.assert_frame_equal(frame, pd.concat(pieces, ignore_index=True))


def test_a_downstream_asset_gets_it_from_dagsters_own_io_manager(
    study: "Study", tmp_path: Path
) -> None:
    got: list[pd.DataFrame] = []

    @dg.asset
    def oldest(enrolment: pd.DataFrame) -> None:
        got.append(enrolment)

    assets = build_redcap_assets(study.project, out_dir=study.out_dir, io_manager_key="files")
    dg.materialize(
        [assets, oldest],
        resources={
            "redcap": study.resource(),
            "files": dg.FilesystemIOManager(base_dir=str(tmp_path / "pickles")),
        },
        selection=["enrolment", "oldest"],
        run_config=QUIET,
    )
    expected = to_pandas(read_published(study.out_dir, "enrolment"))
    pd.testing.assert_frame_equal(got[0], expected)
    assert len(expected) == 60


def test_the_pages_own_lines_do_it(
    tmp_path: Path, materialize_definitions: Callable[..., None]
) -> None:
    *_, snippet = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    materialize_definitions(snippet, ["my_study", "users"])
    assert (tmp_path / "data" / "frames" / "my_study" / "users").is_file()
