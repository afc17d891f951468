"""How an export is cut."""

from dataclasses import dataclass

from redcap_dagster.errors import ConfigError
from redcap_dagster.export.pace import Pace, PaceFacts
from redcap_dagster.export.shares import DEFAULT_CELLS_PER_REQUEST


@dataclass(frozen=True)
class ExportSettings:
    """How an export is cut, and how much of it runs at once.

    Attributes:
        concurrency: Requests side by side, at least 1.
        cells_per_request: Cells that one request asks for at most.
    """

    concurrency: int = 4
    cells_per_request: int = DEFAULT_CELLS_PER_REQUEST

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ConfigError("concurrency must be at least 1.")
        if self.cells_per_request < 1:
            raise ConfigError("cells_per_request must be at least 1.")

    def pace(self, last: PaceFacts | None = None) -> Pace:
        """How much a request asks for.

        Args:
            last: What it came to last time; None where that is not known.
        """
        return Pace(self.cells_per_request, self.concurrency, last)
