"""How far an export is. Never ids or values."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ExportProgress:
    """Counts of a running export, for bars, logs, metadata and the manifest.

    Attributes:
        records_asked: Records that are listed, and have rows in what is asked for.
        records_done: Of these, records whose rows are there.
        records_from_disk: Of these, records of which every answer was on disk: an earlier, killed
            run had asked for it, or an earlier round of this one.
        rows: Rows that are there.
        cells: Their cells, with every asked column.
        cells_planned: Cells that all listed rows will have.
        bytes_received: Size of the answers that were used, in bytes.
        batches_done: Answered parts of blocks.
        batches_resumed: Of these, parts that an earlier, killed run had asked for.
        batches_split: Requests that were replaced by two smaller ones.
        answers_refused: Answers that were not what was asked for, and were asked for again.
        records_read_again: Records that were changed while the export ran, and read again.
        replaced_by_column: Export column to cells in which bytes that are not UTF-8 were replaced.
    """

    records_asked: int = 0
    records_done: int = 0
    records_from_disk: int = 0
    rows: int = 0
    cells: int = 0
    cells_planned: int = 0
    bytes_received: int = 0
    batches_done: int = 0
    batches_resumed: int = 0
    batches_split: int = 0
    answers_refused: int = 0
    records_read_again: int = 0
    replaced_by_column: Counter[str] = field(default_factory=Counter)
