"""What is told of a running extract."""

import io
import logging
import threading

from redcap_dagster.cli.progress import ProgressBar, ToldAgain
from redcap_dagster.export import ExportProgress
from redcap_dagster.extract import (
    ExtractState,
    Phase,
    ProgressLines,
    describe_state,
)


def state(
    done: int, seconds: float = 10.0, *, from_disk: int = 0, phase: Phase = "records"
) -> ExtractState:
    export = ExportProgress(
        records_asked=400, records_done=done, records_from_disk=from_disk, cells=done * 100
    )
    return ExtractState(export, 3, seconds, phase)


def test_a_state_is_told_in_one_sentence() -> None:
    assert describe_state(state(100)) == (
        "100 of 400 records, 10,000 cells, 1,000 cells a second, 3 retries, about 30 s left."
    )
    assert describe_state(state(0, 0.0)) == (
        "0 of 400 records, 0 cells, 0 cells a second, 3 retries."
    )
    assert describe_state(state(400)).endswith("4,000 cells a second, 3 retries.")
    assert describe_state(state(0, 41.6, phase="rows")) == (
        "Asking which rows there are, for 42 s so far."
    )


def test_what_was_on_disk_is_no_measure_of_the_server() -> None:
    assert describe_state(state(300, from_disk=200)) == (
        "300 of 400 records, 30,000 cells, 1,000 cells a second, 3 retries, about 10 s left."
    )
    assert describe_state(state(200, from_disk=200)) == (
        "200 of 400 records, 20,000 cells, 0 cells a second, 3 retries."
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
    bar = ProgressBar(shown)
    bar(state(0, phase="design"))
    bar(state(100))
    bar(state(400))
    bar(state(400, phase="publication"))
    bar.close()
    frames = shown.getvalue().split("\r")
    assert any("Reading the study's design" in frame for frame in frames)
    assert any("100/400" in frame and "00:30 left" in frame for frame in frames)
    assert any("Publishing the tables" in frame for frame in frames)
    assert "400/400" in frames[-1]
    assert "40,000 cells, 4,000/s, 3 retries" in frames[-1]


def test_a_warning_stands_on_a_line_of_its_own_above_the_bar() -> None:
    shown = io.StringIO()
    bar = ProgressBar(shown)
    bar(state(100))
    logging.getLogger("redcap_dagster.api").warning("REDCap is slow")
    bar.close()
    assert "\rREDCap is slow\n" in shown.getvalue()
    logging.getLogger("redcap_dagster.api").warning("said after the bar")
    assert "said after" not in shown.getvalue()


def test_the_last_state_is_told_again_while_nothing_comes() -> None:
    told: list[ExtractState] = []
    came = threading.Event()

    def tell(state: ExtractState) -> None:
        told.append(state)
        if len(told) == 3:
            came.set()

    with ToldAgain(tell, seconds=0.01) as again:
        again(state(0, 5.0, phase="rows"))
        assert came.wait(10)
    assert {item.phase for item in told} == {"rows"}
    assert 5.0 == told[0].seconds < told[1].seconds < told[2].seconds
    assert not any(item.name == "redcap-progress" for item in threading.enumerate())
