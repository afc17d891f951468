"""`redcap-dagster export`: the whole extract of a study, without Dagster."""

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from redcap_dagster.api import RedcapClient
from redcap_dagster.cli.counts import counted
from redcap_dagster.cli.progress import shown_progress
from redcap_dagster.errors import ConfigError, UnknownRecordsError
from redcap_dagster.export import DEFAULT_CELLS_PER_REQUEST
from redcap_dagster.extract import (
    CopyFormat,
    ExtractRequest,
    check_can_copy,
    extract_study,
    find_copies,
    is_of_extract,
    publish_copy,
)
from redcap_dagster.tables import Location, PublishedExtract, to_location

EXPORT_HELP = "extract the study to Parquet tables with a manifest, and to csv or DuckDB"


def add_export_options(command: argparse.ArgumentParser) -> None:
    """Tell a parser what `export` takes."""
    command.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="folder to publish in, or s3://…, gs://…, az://…; in a folder DIR/current holds the "
        "last complete extract",
    )
    command.add_argument(
        "--forms", nargs="+", metavar="NAME", help="only these instruments, by unique name"
    )
    command.add_argument(
        "--events", nargs="+", metavar="NAME", help="only these events, by unique name"
    )
    command.add_argument(
        "--records-from",
        type=Path,
        metavar="FILE",
        help="only the records whose ids stand in a text file, one a line",
    )
    command.add_argument(
        "--since",
        type=_moment,
        metavar="TIME",
        help="only records created or changed after this moment of the server's local time, such "
        "as 2026-01-31 or '2026-01-31 18:00': a part of the study, without what was deleted",
    )
    command.add_argument(
        "--format",
        nargs="+",
        action="extend",
        choices=("parquet", *get_args(CopyFormat)),
        default=[],
        help="csv and duckdb, or both, are made beside the Parquet tables, in DIR/csv and "
        "DIR/duckdb",
    )
    command.add_argument(
        "--no-raw", action="store_true", help="without `records`, the export as REDCap sent it"
    )
    command.add_argument(
        "--concurrency",
        type=positive_count,
        default=4,
        metavar="N",
        help="requests side by side [4]",
    )
    command.add_argument(
        "--cells-per-request",
        type=positive_count,
        default=DEFAULT_CELLS_PER_REQUEST,
        metavar="N",
        help="cells, rows times columns, that an answer is planned to hold "
        f"[{DEFAULT_CELLS_PER_REQUEST:,}]",
    )


def run_export(client: RedcapClient, options: argparse.Namespace) -> int:
    """Extract what the options say and print what was made.

    Raises:
        RedcapDagsterError: It could not be done; what readers see is unchanged.
    """
    lines = None if options.records_from is None else read_ids(options.records_from)
    request = ExtractRequest(
        instruments=None if options.forms is None else tuple(options.forms),
        events=None if options.events is None else tuple(options.events),
        record_ids=None if lines is None else tuple(lines),
        changed_since=options.since,
        with_records=not options.no_raw,
        concurrency=options.concurrency,
        cells_per_request=options.cells_per_request,
    )
    shelf = to_location(options.out)
    kinds = [kind for kind in get_args(CopyFormat) if kind in options.format]
    for kind in kinds:
        check_can_copy(shelf, kind)
    with shown_progress() as progress, _naming_lines(options.records_from, lines or {}):
        extract = extract_study(client, shelf, request, progress=progress)
    for line in describe_extract(extract, shelf):
        print(line)  # noqa: T201 - a command's answer
    for kind in kinds:
        copy = publish_copy(Path(options.out), kind)
        files = ", ".join(copy.files) if len(copy.files) == 1 else f"{len(copy.files)} files"
        print(f"{shelf / kind}: {files}.")  # noqa: T201
    for kind, folder in find_copies(shelf).items():
        if not is_of_extract(folder, extract):
            print(f"{shelf / kind} is of an older extract; --format {kind} renews it.")  # noqa: T201
    return 0


def describe_extract(extract: PublishedExtract, shelf: Location) -> Iterator[str]:
    """What was made, in a few lines. Counts and names only."""
    facts, export = extract.facts, extract.facts["export"]
    # In a folder readers look through the link that the next extract will take.
    place = shelf / "current" if isinstance(shelf, Path) else extract.path
    yield (
        f"{place}: {counted(len(extract.tables), 'table')} of "
        f"{counted(export['records_done'], 'record')}, {counted(export['rows'], 'row')} and "
        f"{counted(export['cells'], 'cell')}, in {counted(facts['requests'], 'request')} and "
        f"{facts['seconds']:.1f} s."
    )
    rejected = facts["conservation"]["cells_rejected"]
    if rejected:
        misfits = "does not fit its field" if rejected == 1 else "do not fit their fields"
        yield f"{counted(rejected, 'value')} {misfits}; see rejected_values."
    if not facts["request"]["is_whole"]:
        yield f"This is a part of the study: {_part(facts['request'])}."
    if export["batches_resumed"]:
        yield (
            f"{export['batches_resumed']:,} of {export['batches_done']:,} answers were there from "
            "a run that did not finish."
        )
    sees_one_group_only = facts["rights"]["sees_one_group_only"]
    if sees_one_group_only == "yes":
        yield "The token may not see records outside its data access group."
    elif sees_one_group_only == "unknown":
        yield "Whether the token sees records of all data access groups could not be found out."
    if facts["rights"]["reads_log"] == "no":
        yield "The token may not read the log, so it is not assured that nothing changed meanwhile."


def _part(request: Mapping[str, Any]) -> str:
    """What was asked for, by names and counts."""
    named, since = request["records_named"], request["changed_since"]
    parts = [
        f"{what} {', '.join(request[what])}"
        for what in ("instruments", "events")
        if request[what] is not None
    ]
    if named is not None:
        parts.append(counted(named, "named record"))
    if since is not None:
        parts.append(f"records created or changed after {since}")
    return "; ".join(parts)


def read_ids(file: Path) -> dict[str, int]:
    """Record ids of a text file, one a line, each with its first line's number, from 1.

    Blank lines are passed over.

    Raises:
        ConfigError: The file cannot be read, is not UTF-8, or holds no id.
    """
    try:
        # Not `splitlines`: an id may hold what Unicode calls a line separator.
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8. Save the list of record ids as such.") from None
    ids: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            ids.setdefault(line.strip(), number)
    if not ids:
        raise ConfigError(f"{file} holds no record ids. Write one a line.")
    return ids


@contextmanager
def _naming_lines(file: Path | None, lines: Mapping[str, int]) -> Iterator[None]:
    """Say of records that are not there in which lines of the file they stand.

    Raises:
        UnknownRecordsError: With the numbers of lines.
    """
    try:
        yield
    except UnknownRecordsError as error:
        numbers = tuple(lines.values())
        places = [numbers[place - 1] for place in error.places]
        raise UnknownRecordsError(places, len(lines), f"{file}, line") from None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no moment; write 2026-01-31 or '2026-01-31 18:00'"
        ) from None


def positive_count(text: str) -> int:
    """A whole number above 0, given to a command.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)
