"""How far an extract is: a bar on a terminal, lines elsewhere. They move while nothing comes."""

import logging
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from shutil import get_terminal_size
from typing import TextIO

from tqdm import tqdm

from redcap_dagster.extract import (
    PHASES,
    ExtractState,
    ProgressLines,
    TellProgress,
    ToldAgain,
)

_COUNTED = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} records [{elapsed}{postfix}]"
_UNCOUNTED = "{desc} [{elapsed}]"


class ProgressBar:
    """A bar of records, with cells, rate, retries and time left; else what is being done.

    Args:
        file: Where it is drawn.
    """

    def __init__(self, file: TextIO = sys.stderr) -> None:
        size = get_terminal_size()  # a container's terminal may say that it has none
        self._bar = tqdm(file=file, bar_format=_UNCOUNTED, ncols=size.columns, nrows=size.lines)
        self._bar.leave = False
        self._messages = _AboveTheBar(file)
        logging.getLogger("redcap_dagster").addHandler(self._messages)

    def __call__(self, state: ExtractState) -> None:
        """Show one moment's state."""
        bar = self._bar
        if state.phase == "records":
            bar.leave = True
            bar.bar_format = _COUNTED
            bar.total, bar.n = state.export.records_asked, state.export.records_done
            bar.set_postfix_str(_rate(state), refresh=False)
        else:
            bar.bar_format = _UNCOUNTED
            bar.set_description_str(PHASES[state.phase], refresh=False)
        bar.refresh()

    def close(self) -> None:
        """Leave the bar of records behind, where there was one."""
        logging.getLogger("redcap_dagster").removeHandler(self._messages)
        self._bar.bar_format = _COUNTED
        self._bar.close()


class _AboveTheBar(logging.Handler):
    """Writes warnings on lines of their own, and the bar again below them."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(logging.WARNING)
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=self._file)


def _rate(state: ExtractState) -> str:
    """Time left, cells, rate and retries; a narrow terminal cuts off what stands last."""
    left = state.seconds_left
    return (f"{tqdm.format_interval(left)} left, " if left else "") + (
        f"{state.export.cells:,} cells, {state.cells_per_second:,.0f}/s, {state.retries} retries"
    )


@contextmanager
def shown_progress() -> Iterator[TellProgress]:
    """On standard error: a bar where somebody looks, a line now and then elsewhere."""
    file = sys.stderr
    if not file.isatty():
        with ToldAgain(ProgressLines(lambda line: print(line, file=file))) as tell:
            yield tell
        return
    with closing(ProgressBar(file)) as bar, ToldAgain(bar) as tell:
        yield tell
