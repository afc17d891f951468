"""The command line: serve project XML files until told to stop."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from redcap_dagster.emulator.emulator import RedcapEmulator
from redcap_dagster.emulator.errors import EmulatorError
from redcap_dagster.emulator.faults.kinds import KINDS_BY_NAME
from redcap_dagster.emulator.state.load import source_digest

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_WARNING = (
    "REDCap emulator: for tests and demonstrations. It is NO PLACE FOR REAL DATA: there is no "
    "encryption, and no account behind a token."
)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command's own options."""
    parser = argparse.ArgumentParser(
        prog="redcap-dagster emulator",
        description="Serve REDCap projects on loopback from their XML files. " + _WARNING,
    )
    parser.add_argument("projects", nargs="*", metavar="PROJECT.xml", help="project XML to serve")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on [%(default)s]")
    parser.add_argument("--port", type=int, default=0, help="port to listen on [0: a free one]")
    parser.add_argument("--super-token", metavar="T", help="super token that may create projects")
    parser.add_argument(
        "--state", metavar="FILE", help="keep projects, tokens and data in this file"
    )
    parser.add_argument(
        "--token",
        action="append",
        default=[],
        metavar="T",
        help="API token of the first, second, … project; random otherwise",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="SPEC",
        help="misbehave, such as `status:code=502,share=0.1,content=record`; there are "
        f"{', '.join(KINDS_BY_NAME)}; docs/emulator.md says what they take",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the options and serve until SIGINT or SIGTERM.

    Returns:
        0 after a clean stop; 1 when a file or option cannot be used, with one sentence on
        standard error.
    """
    try:
        return run_command(build_parser().parse_args(arguments))
    except EmulatorError as error:
        print(f"redcap-dagster emulator: {error}", file=sys.stderr)  # noqa: T201
        return 1


def run_command(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; prints one line of JSON when it listens.

    Raises:
        EmulatorError: A file or option cannot be used.
    """
    redcap = RedcapEmulator(
        options.state, host=options.host, port=options.port, super_token=options.super_token
    )
    for fault in options.fault:
        redcap.faults.add(fault)
    with _told_to_stop() as stop, redcap:
        _load(redcap, options.projects, options.token, may_be_empty=options.super_token is not None)
        print(_WARNING, file=sys.stderr)  # noqa: T201
        if options.host not in _LOOPBACK:
            print(f"It listens on {options.host}: others can reach it.", file=sys.stderr)  # noqa: T201
        listening = {"url": redcap.url, "projects": _listed(redcap)}
        print(json.dumps(listening, ensure_ascii=False), flush=True)  # noqa: T201
        stop.wait()
    return 0


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM set, and give the signals back afterwards."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _load(
    redcap: RedcapEmulator, projects: Sequence[str], tokens: Sequence[str], *, may_be_empty: bool
) -> None:
    if len(tokens) > len(projects):
        raise EmulatorError("There are more tokens than project files.")
    known = redcap.store.digests()
    for position, project in enumerate(projects):
        # A state that is used again keeps its projects and tokens.
        if source_digest(project) not in known:
            redcap.add_project(project, token=tokens[position] if position < len(tokens) else None)
    if not redcap.store.users() and not may_be_empty:
        raise EmulatorError(
            "There is no project to serve: give a REDCap project XML file, or --super-token to "
            "create projects by the API."
        )


def _listed(redcap: RedcapEmulator) -> list[dict[str, str]]:
    return [
        {"title": redcap.store.design(user.project_id).settings.title, "token": user.token}
        for user in redcap.store.users()
    ]
