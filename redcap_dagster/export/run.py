"""Carries out an export plan: batches side by side, chunks in the order of the plan."""

import logging
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import AnswerError, ApiError, ExportError
from redcap_dagster.export.chunks import Chunk, missing_record_count, read_chunk
from redcap_dagster.export.plan import Batch, ExportPlan
from redcap_dagster.project import RedcapProject, plan_export_columns

logger = logging.getLogger(__name__)

_TRIES_OF_A_SHORT_ANSWER = 3


@dataclass
class ExportProgress:
    """Counts of a running export, for logs, metadata and the manifest. Never ids or values."""

    records_asked: int = 0
    records_done: int = 0
    rows: int = 0
    cells: int = 0
    bytes_received: int = 0
    batches_done: int = 0
    batches_split: int = 0
    answers_refused: int = 0
    replaced_by_column: Counter[str] = field(default_factory=Counter)

    def add(self, chunk: Chunk) -> None:
        """Count one chunk."""
        self.records_done += len(chunk.batch.record_ids)
        self.rows += chunk.table.num_rows
        self.cells += chunk.table.num_rows * chunk.table.num_columns
        self.bytes_received += chunk.byte_count
        self.batches_done += 1
        self.replaced_by_column.update(chunk.replaced)
        if chunk.replaced:
            logger.warning(
                "Bytes that are not UTF-8 were replaced in %d cells: %s.",
                sum(chunk.replaced.values()),
                ", ".join(f"{name} {count}" for name, count in chunk.replaced.items()),
            )

    @property
    def replaced_cells(self) -> int:
        """Cells in which bytes that are not UTF-8 were replaced by U+FFFD."""
        return self.replaced_by_column.total()


def read_record_ids(client: RedcapClient, project: RedcapProject) -> tuple[str, ...]:
    """Every record id the token can see, each once, in the server's order.

    A record of which only repeating instances are stored has no row of its own, so the form
    status of every repeating instrument is asked for beside the id.

    Raises:
        ApiError: REDCap did not answer, refused, or sent something else.
    """
    repeating = sorted({rule.instrument for rule in project.repeats if rule.instrument})
    fields = [project.record_id_field, *(f"{name}_complete" for name in repeating)]
    rows = client.export_records(fields=fields)
    return tuple(dict.fromkeys(row[project.record_id_field] for row in rows))


def iter_chunks(
    client: RedcapClient,
    project: RedcapProject,
    plan: ExportPlan,
    *,
    concurrency: int = 4,
    progress: ExportProgress | None = None,
) -> Iterator[Chunk]:
    """Ask for every batch of a plan and yield the judged chunks, in the order of the plan.

    At most `concurrency` requests are under way, and at most twice as many chunks are held. A
    batch that the server cannot answer is split in two, down to one record.

    Args:
        client: Where to ask.
        project: The design that the plan was made from.
        plan: What to ask.
        concurrency: Requests side by side.
        progress: Counts to keep up to date; None to keep none.

    Raises:
        ApiError: A batch was refused, or a single record could not be exported.
        ExportError: A record that was listed came back without a row.
    """
    progress = progress if progress is not None else ExportProgress()
    progress.records_asked += plan.record_count
    worker = _BatchWorker(client, project, plan)
    waiting = deque(plan.batches)
    running: deque[Future[list[Chunk]]] = deque()
    with ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="redcap-export") as pool:
        try:
            while waiting or running:
                while waiting and len(running) < 2 * concurrency:
                    running.append(pool.submit(worker.export, waiting.popleft()))
                chunks = running.popleft().result()
                progress.batches_split = worker.splits
                progress.answers_refused = worker.refused
                for chunk in chunks:
                    progress.add(chunk)
                    yield chunk
        finally:
            for future in running:
                future.cancel()


class _BatchWorker:
    """Exports one batch at a time; used by several threads at once."""

    def __init__(self, client: RedcapClient, project: RedcapProject, plan: ExportPlan) -> None:
        self._client = client
        self._record_id_field = project.record_id_field
        self._events = plan.events
        self._surveys = project.info.surveys_enabled
        self._columns = plan_export_columns(project, plan.instruments)
        self._asks_whole_records = plan.instruments == tuple(
            instrument.name for instrument in project.instruments
        )
        # Counted under the interpreter's lock of a list's append, which needs no lock of ours.
        self._splits: list[None] = []
        self._refused: list[None] = []

    @property
    def splits(self) -> int:
        return len(self._splits)

    @property
    def refused(self) -> int:
        return len(self._refused)

    def export(self, batch: Batch) -> list[Chunk]:
        """The chunks of a batch: one, or several in order where it had to be split."""
        try:
            return [self._ask_until_whole(batch)]
        except ApiError as error:
            if not error.retryable or len(batch.record_ids) == 1:
                raise
            self._splits.append(None)
            logger.warning(
                "A batch of %d records failed (%s); asking for its halves.",
                len(batch.record_ids),
                type(error).__name__,
            )
        first, second = batch.halves()
        return [*self.export(first), *self.export(second)]

    def _ask_until_whole(self, batch: Batch) -> Chunk:
        for attempt in range(1, _TRIES_OF_A_SHORT_ANSWER + 1):
            body = self._ask(batch)  # the client has retried what a retry can help
            try:
                chunk = read_chunk(body, batch, self._columns)
            except AnswerError:
                if attempt == _TRIES_OF_A_SHORT_ANSWER:
                    raise
                self._refused.append(None)
                continue
            missing = missing_record_count(chunk) if self._asks_whole_records else 0
            if not missing:
                return chunk
            self._refused.append(None)
        raise ExportError(
            f"REDCap listed {len(batch.record_ids)} records of a batch, but {missing} of them came "
            f"back without a row in {_TRIES_OF_A_SHORT_ANSWER} tries. They were deleted or renamed "
            "meanwhile, or the server leaves records out; run it again, and tell the server's "
            "administrator if it stays."
        )

    def _ask(self, batch: Batch) -> bytes:
        return self._client.export_records_csv(
            records=batch.record_ids,
            # Without the id field in `fields` the rows could not be told apart (api.md 5.2).
            fields=[self._record_id_field],
            forms=batch.instruments,
            events=self._events,
            export_survey_fields=self._surveys,
            export_data_access_groups=True,
            export_blank_for_gray_form_status=True,
        )
