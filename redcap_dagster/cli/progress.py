"""How far an extract is, as a bar on a terminal."""

import sys
from types import TracebackType
from typing import TextIO

from tqdm import tqdm
from typing_extensions import Self

from redcap_dagster.extract import ExtractState


class ProgressBar:
    """A bar of records with rate and time left, and counts of cells and retries beside it.

    Appears with the first answer; a context manager that leaves the finished bar behind.

    Args:
        file: Where it is drawn.
    """

    def __init__(self, file: TextIO = sys.stderr) -> None:
        self._file = file
        self._bar: tqdm[None] | None = None

    def __call__(self, state: ExtractState) -> None:
        """Show one moment's state."""
        if self._bar is None:
            self._bar = tqdm(total=state.export.records_asked, unit=" records", file=self._file)
        self._bar.set_postfix_str(
            f"{state.export.cells:,} cells, {state.cells_per_second:,.0f}/s, "
            f"{state.retries} retries",
            refresh=False,
        )
        self._bar.update(state.export.records_done - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
