"""What is told of a running extract."""

import io

from redcap_dagster.cli.progress import ProgressBar
from redcap_dagster.export import ExportProgress
from redcap_dagster.extract import ExtractState, ProgressLines, describe_state


def state(done: int, seconds: float = 10.0) -> ExtractState:
    export = ExportProgress(records_asked=400, records_done=done, cells=done * 100)
    return ExtractState(export, retries=3, seconds=seconds)


def test_a_state_is_told_in_one_sentence() -> None:
    assert describe_state(state(100)) == (
        "100 of 400 records, 10,000 cells, 1,000 cells a second, 3 retries, about 30 s left."
    )
    assert describe_state(state(0, 0.0)) == (
        "0 of 400 records, 0 cells, 0 cells a second, 3 retries."
    )


def test_lines_are_written_every_fifteen_seconds() -> None:
    now = [100.0]
    written: list[str] = []
    lines = ProgressLines(written.append, clock=lambda: now[0])
    for now[0], done in ((101.0, 1), (114.9, 2), (115.0, 3), (116.0, 4), (131.0, 5)):
        lines(state(done))
    assert [line.split()[0] for line in written] == ["3", "5"]


def test_the_bar_shows_records_cells_rate_and_retries() -> None:
    shown = io.StringIO()
    with ProgressBar(shown) as bar:
        bar(state(100))
        bar(state(400))
    last = shown.getvalue().split("\r")[-1]
    assert "400/400" in last
    assert "40,000 cells, 4,000/s, 3 retries" in last
