"""A server of one made-up study that only slices prepared bytes, as fast as it can or slow.

    python -m benchmarks.served.server large 1.0 [--slow] [--limit 1000000]

Prints its port when it listens. It understands what an export asks: records by `records`, `fields`,
`forms` and `events`, as csv or JSON, and the contents of a study's design. `GET /counts` says
what was asked since the last look at it.

Slow is 50 ms and 2 µs a cell of the answer, four workers, and an answer above the limit of cells
is PHP's memory message with status 200, as REDCap sends it.
"""

import argparse
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from benchmarks.served.study import EVENTS, RECORD_ID, WORKLOADS, ServedStudy, make_study, record_id

Item = TypeVar("Item")

SECONDS_A_REQUEST = 0.05
SECONDS_A_CELL = 2e-6
WORKERS = 4
_OUT_OF_MEMORY = (
    b"<br />\n<b>Fatal error</b>:  Allowed memory size of 2147483648 bytes exhausted (tried to "
    b"allocate 72 bytes) in <b>/redcap/Classes/Records.php</b> on line <b>8210</b><br />\n"
)
_PIECE_BYTES = 1 << 20


@dataclass
class Counts:
    """What was asked of the server.

    Attributes:
        requests: Requests for data or design.
        refused: Of these, the ones above the limit.
        refused_knowingly: Of these, the ones that came after the first refusal was sent.
        largest: Cells of the largest record request, answered or not.
        cells: Cells of the answers to record requests.
        bytes: Bytes of all answers.
        in_flight: The most requests at once.
    """

    requests: int = 0
    refused: int = 0
    refused_knowingly: int = 0
    largest: int = 0
    cells: int = 0
    bytes: int = 0
    in_flight: int = 0


@dataclass(frozen=True)
class Answer:
    """A body in pieces, and what it takes to make it."""

    pieces: Sequence[bytes | memoryview]
    content_type: str
    cells: int = 0

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(len(piece) for piece in self.pieces)


@dataclass(frozen=True)
class Question:
    """What a record request asks for; None is all of it."""

    records: list[str] | None
    forms: list[str] | None
    fields: list[str] | None
    events: list[str] | None
    is_json: bool


class Slicer:
    """Answers record requests from prepared pieces.

    The whole flat csv lies ready in one block, so that the usual request, some records in a row
    with every form, is one slice of it.
    """

    def __init__(self, study: ServedStudy) -> None:
        self.study = study
        self.has_events = bool(study.answers.events)
        self.stocks = {name: (*form.stock, form.blank[0]) for name, form in study.forms.items()}
        self.json_stocks = {
            name: (*form.json_stock, form.blank[1]) for name, form in study.forms.items()
        }
        self.keys = [self.key(place, is_json=False) for place in range(len(study.rows))]
        self.json_keys = [self.key(place, is_json=True) for place in range(len(study.rows))]
        self.lists: dict[str, Answer] = {}
        self.parts: dict[tuple[str, tuple[int, ...], bool], tuple[bytes, ...]] = {}
        everything = Question(None, list(study.forms), [RECORD_ID], None, is_json=False)
        self.header = self.header_of(everything)
        self.offsets = [0]
        block = bytearray()
        for line in self.lines(range(len(study.rows)), everything):
            block += line
            block += b"\n"
            self.offsets.append(len(block))
        self.block = memoryview(bytes(block))

    def answer(self, question: Question) -> Answer:
        """The answer to a record request."""
        if question.records is None and not question.forms and question.fields:
            # A list of ids: prepared when it is first asked for.
            return self.lists.get(repr(question)) or self.lists.setdefault(
                repr(question), self.sliced(question)
            )
        return self.sliced(question)

    def sliced(self, question: Question) -> Answer:
        """The answer, joined from its pieces or cut from the block."""
        rows = self.rows_of(question)
        columns = self.header_of(question).count(b",") + 1
        cells = len(rows) * columns
        if question.is_json:
            body = b"[" + b",".join(self.lines(rows, question)) + b"]"
            return Answer([body], "application/json; charset=utf-8", cells)
        asks_all = question.forms is None and question.fields is None
        if (asks_all or set(question.forms or ()) == set(self.study.forms)) and is_run(rows):
            start, end = (rows[0], rows[-1] + 1) if rows else (0, 0)
            block = self.block[self.offsets[start] : self.offsets[end]]
            return Answer([self.header, block], "text/csv; charset=utf-8", cells)
        body = b"\n".join(self.lines(rows, question)) + b"\n"
        return Answer([self.header_of(question), body], "text/csv; charset=utf-8", cells)

    def rows_of(self, question: Question) -> Sequence[int]:
        """Places of the rows that are asked for."""
        spans = self.study.spans
        if question.records is None:
            places: Sequence[int] = range(len(self.study.rows))
        else:
            found = sorted(spans[item] for item in set(question.records) if item in spans)
            if found and found[-1][1] - found[0][0] == sum(end - start for start, end in found):
                places = range(found[0][0], found[-1][1])
            else:
                places = [place for start, end in found for place in range(start, end)]
        if not self.has_events:
            return places
        events = {EVENTS.index(item) for item in question.events or EVENTS}
        forms = self.forms_that_repeat(question)
        rows = self.study.rows
        return [
            place
            for place in places
            if rows[place].event in events
            and (rows[place].repeats is None or forms is None or rows[place].repeats in forms)
        ]

    def forms_that_repeat(self, question: Question) -> set[str] | None:
        """Forms whose repeating rows come: those with an asked column."""
        if question.forms is None and question.fields is None:
            return None
        return {form for form, _ in self.columns_of(question)}

    def header_of(self, question: Question) -> bytes:
        """The csv header, with its line end."""
        names = [RECORD_ID]
        if self.has_events:
            names += ["redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"]
        for form, places in self.columns_of(question):
            names += [self.study.forms[form].columns[place] for place in places]
        return ",".join(names).encode() + b"\n"

    def columns_of(self, question: Question) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Forms in order, and the places of those of their columns that are asked for."""
        asks_all = question.forms is None and question.fields is None
        fields = set(question.fields or ())
        for name, form in self.study.forms.items():
            if asks_all or name in (question.forms or ()):
                yield name, tuple(range(len(form.columns)))
            elif not fields.isdisjoint(form.columns):
                yield (
                    name,
                    tuple(place for place, item in enumerate(form.columns) if item in fields),
                )

    def stock(self, form: str, places: tuple[int, ...], *, is_json: bool) -> tuple[bytes, ...]:
        """The pieces of some columns of a form, the blank one last."""
        whole = (self.json_stocks if is_json else self.stocks)[form]
        if len(places) == len(self.study.forms[form].columns):
            return whole
        key = (form, places, is_json)
        if key not in self.parts:
            rows = [piece.split(b",") for piece in whole]
            self.parts[key] = tuple(b",".join(row[place] for place in places) for row in rows)
        return self.parts[key]

    def lines(self, rows: Sequence[int], question: Question) -> Iterator[bytes]:
        """The rows, as csv or JSON, without line ends."""
        keys = chosen(self.json_keys if question.is_json else self.keys, rows)
        parts = [keys]
        for form, places in self.columns_of(question):
            stock = self.stock(form, places, is_json=question.is_json)
            pieces = chosen(self.study.pieces[form], rows)
            parts.append(list(map(stock.__getitem__, pieces)))  # -1 is the last: blank
        lines = map(b",".join, zip(*parts, strict=True))
        return (b"{%s}" % line for line in lines) if question.is_json else lines

    def key(self, place: int, *, is_json: bool) -> bytes:
        """What a row is, in its own columns."""
        row = self.study.rows[place]
        cells = [record_id(row.record)]
        names = [RECORD_ID]
        if self.has_events:
            names += ["redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"]
            cells += [EVENTS[row.event], row.repeats or "", str(row.instance or "")]
        if not is_json:
            return ",".join(cells).encode()
        pairs = zip(names, cells, strict=True)
        return ",".join(f'"{name}":"{cell}"' for name, cell in pairs).encode()


def chosen(items: list[Item], rows: Sequence[int]) -> list[Item]:
    """The items of some rows."""
    if isinstance(rows, range):
        return items[rows.start : rows.stop]
    return list(map(items.__getitem__, rows))


def is_run(rows: Sequence[int]) -> bool:
    """Whether rows follow each other without a gap."""
    return not rows or rows[-1] - rows[0] + 1 == len(rows)


@dataclass
class Service:
    """What all requests share."""

    slicer: Slicer
    is_slow: bool
    limit: int
    workers: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(WORKERS))
    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: Counts = field(default_factory=Counts)
    now: int = 0
    has_refused: bool = False

    def answer(self, form: dict[str, Any]) -> Answer:
        """Answer one request, in the time it takes."""
        with self.lock:
            self.now += 1
            self.counts.requests += 1
            self.counts.in_flight = max(self.counts.in_flight, self.now)
            knows_limit = self.has_refused
        try:
            if not self.is_slow:
                return self.made(form, knows_limit=knows_limit)
            with self.workers:
                made = self.made(form, knows_limit=knows_limit)
                time.sleep(SECONDS_A_REQUEST + SECONDS_A_CELL * min(made.cells, self.limit))
                return made
        finally:
            with self.lock:
                self.now -= 1

    def made(self, form: dict[str, Any], *, knows_limit: bool) -> Answer:
        """The answer, or the memory message; counted."""
        is_record = form["content"] == "record"
        made = self.slicer.answer(question_of(form)) if is_record else self.design(form)
        is_refused = self.is_slow and made.cells > self.limit
        with self.lock:
            counts = self.counts
            if is_record:
                counts.largest = max(counts.largest, made.cells)
            if is_refused:
                counts.refused += 1
                counts.refused_knowingly += knows_limit
                self.has_refused = True
                made = Answer([_OUT_OF_MEMORY], "text/html; charset=UTF-8", made.cells)
            elif is_record:
                counts.cells += made.cells
            counts.bytes += made.size
        return made

    def design(self, form: dict[str, Any]) -> Answer:
        """An answer about the study's design, its users or its log."""
        answers = self.slicer.study.answers
        content = form["content"]
        if content == "version":
            return Answer([answers.redcap_version.encode()], "text/html; charset=UTF-8")
        rows: Any = {
            "project": answers.project_info,
            "metadata": answers.metadata,
            "instrument": answers.instruments,
            "arm": answers.arms,
            "event": answers.events,
            "formEventMapping": answers.form_event_mappings,
            "repeatingFormsEvents": answers.repeating_instruments_events,
            "exportFieldNames": [
                {"original_field_name": name, "choice_value": "", "export_field_name": name}
                for item in self.slicer.study.forms.values()
                for name in item.columns
            ],
            "dag": [],
            "user": [],
            "log": [
                {
                    "timestamp": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M}",
                    "username": "benchmark",
                    "action": "Data export (API)",
                    "details": "",
                    "record": "",
                }
            ],
        }[content]
        width = len(rows[0]) if isinstance(rows, list) and rows else 1
        cells = len(rows) * width if isinstance(rows, list) else width
        return Answer([json.dumps(rows).encode()], "application/json; charset=utf-8", cells)

    def look(self) -> bytes:
        """The counts since the last look."""
        with self.lock:
            counts, self.counts = self.counts, Counts()
            self.has_refused = False
        return json.dumps(counts.__dict__).encode()


def question_of(form: dict[str, Any]) -> Question:
    """A record request as what it asks for."""
    asked = [form.get(name) for name in ("records", "forms", "fields", "events")]
    return Question(*asked, is_json=form.get("format") == "json")


def parse_form(body: bytes) -> dict[str, Any]:
    """Form fields; lists come as `name[0]`, `name[1]` or as one text with commas."""
    form: dict[str, Any] = {}
    for pair in body.decode().split("&"):
        name, _, value = pair.partition("=")
        if "%" in name:
            name = unquote_plus(name)
        if "%" in value or "+" in value:
            value = unquote_plus(value)
        if "[" in name:
            form.setdefault(name.partition("[")[0], []).append(value)
        elif name in {"records", "forms", "fields", "events"}:
            form[name] = value.split(",")
        else:
            form[name] = value
    return form


def handler_of(service: Service) -> type[BaseHTTPRequestHandler]:
    """A request handler that asks the service."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send(service.answer(parse_form(body)))

        def do_GET(self) -> None:
            self.send(Answer([service.look()], "application/json"))

        def send(self, answer: Answer) -> None:
            self.send_response(200)
            self.send_header("content-type", answer.content_type)
            self.send_header("content-length", str(answer.size))
            self.end_headers()
            for piece in answer.pieces:
                for start in range(0, len(piece), _PIECE_BYTES):
                    self.wfile.write(piece[start : start + _PIECE_BYTES])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def main() -> None:
    """Make the study and serve it until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("share", type=float)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--limit", type=int, default=1_000_000)
    options = parser.parse_args()
    slicer = Slicer(make_study(WORKLOADS[options.workload].scaled(options.share)))
    service = Service(slicer, options.slow, options.limit)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(service))
    server.daemon_threads = True
    print(server.server_port, flush=True)  # noqa: T201 - read by the parent
    server.serve_forever()


if __name__ == "__main__":
    main()
