"""`redcap-dagster`: a thin skin over the rooms. Imports no Dagster."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from redcap_dagster.api import DEFAULT_REQUESTS_PER_MINUTE, RedcapClient
from redcap_dagster.cli.check import check_study, describe
from redcap_dagster.cli.export import EXPORT_HELP, add_export_options, positive_count, run_export
from redcap_dagster.cli.load import LOAD_HELP, add_load_options, run_load
from redcap_dagster.cli.trigger_inbox import (
    TRIGGER_INBOX_HELP,
    add_trigger_inbox_options,
    run_trigger_inbox,
)
from redcap_dagster.cli.verify import run_verify
from redcap_dagster.errors import ConfigError, RedcapDagsterError
from redcap_dagster.export import read_design

URL_VARIABLE = "REDCAP_API_URL"
TOKEN_VARIABLE = "REDCAP_API_TOKEN"  # noqa: S105 - the variable's name, not a token

_BANNED_AT = 600
"""Requests a minute; REDCap's default (docs/sources.md#rate-limit)."""
_STOPPED = 130
"""What shells give for a command that Ctrl-C has ended."""
_TERMINATED = 143
"""The same for SIGTERM, by which schedulers and containers end what they have started."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: what Ctrl-C does is done, so that no answer stays in a temporary folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when it did what was asked; 1 when it could not, with the reason on standard error;
        130 when it was stopped by hand; 143 when it was by SIGTERM.
    """
    options, rest = _parser().parse_known_args(arguments)
    if options.command == "emulator":
        return _emulator(rest)
    if rest:
        # Names only: what was given with them may be a token.
        names = [text.split("=")[0] for text in rest if text.startswith("-")]
        _parser().error(
            f"unrecognized arguments: {' '.join(names)}"
            if names
            else f"{len(rest)} arguments too many (not shown: one may be a token)"
        )
    try:
        with _terminated_in_order():
            return _run(options)
    except BrokenPipeError:  # who read what was printed has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (RedcapDagsterError, OSError) as error:
        print(f"redcap-dagster: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    except KeyboardInterrupt as stop:
        print(  # noqa: T201
            "redcap-dagster: Stopped. What readers see is unchanged.", file=sys.stderr
        )
        return _TERMINATED if isinstance(stop, _Terminated) else _STOPPED


def _run(options: argparse.Namespace) -> int:
    if options.command == "verify":
        return run_verify(options.place)
    if options.command == "load":
        return run_load(options)
    if options.command == "trigger-inbox":
        return run_trigger_inbox(options)
    with _client(options) as client:
        return _COMMANDS[options.command](client, options)


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, and give the signal back afterwards."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(*_: object) -> NoReturn:
    raise _Terminated


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="redcap-dagster",
        description="REDCap studies as Dagster assets.",
        epilog=f"The API token is read from {TOKEN_VARIABLE}, never from an argument.",
    )
    parser.add_argument(
        "--version", action="version", version=f"redcap-dagster {version('redcap-dagster')}"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="would an extract work: server, rights of the token, size, plan"
    )
    snapshot = commands.add_parser(
        "snapshot", help="write the study's design to a file, for definitions that load offline"
    )
    snapshot.add_argument("file", type=Path, help="the JSON file to write")
    export = commands.add_parser("export", help=EXPORT_HELP)
    add_export_options(export)
    for command in (check, snapshot, export):
        command.add_argument("--url", help=f"address of the API, instead of {URL_VARIABLE}")
        command.add_argument("--ca-bundle", help="file of certificates to trust")
        command.add_argument(
            "--requests-per-minute",
            type=positive_count,
            default=DEFAULT_REQUESTS_PER_MINUTE,
            metavar="N",
            help=f"requests in any minute at most [{DEFAULT_REQUESTS_PER_MINUTE}]; REDCap bans an "
            "address that asks too often",
        )
    verify = commands.add_parser(
        "verify", help="compare what was published with its manifest: files, rows, columns, proof"
    )
    verify.add_argument(
        "place", metavar="DIR", help="where `export` or Dagster published the study"
    )
    add_load_options(commands.add_parser("load", help=LOAD_HELP))
    add_trigger_inbox_options(commands.add_parser("trigger-inbox", help=TRIGGER_INBOX_HELP))
    # Its own options are the emulator's business: parsed there, so that this skin stays thin.
    commands.add_parser(
        "emulator", help="serve REDCap project XML files on loopback", add_help=False
    )
    return parser


def _client(options: argparse.Namespace) -> RedcapClient:
    url = os.environ.get(URL_VARIABLE) if options.url is None else options.url
    token = os.environ.get(TOKEN_VARIABLE)
    lacking = [name for name, value in ((URL_VARIABLE, url), (TOKEN_VARIABLE, token)) if not value]
    if lacking or not url or not token:
        raise ConfigError(
            f"The environment variable{'s' if len(lacking) > 1 else ''} {' and '.join(lacking)} "
            f"{'are' if len(lacking) > 1 else 'is'} not set. Set the address of your REDCap's API "
            "(https://…/api/) and the API token of the project, then run this again."
        )
    if options.requests_per_minute >= _BANNED_AT:
        print(  # noqa: T201
            f"redcap-dagster: REDCap bans an address for good at {_BANNED_AT} requests a minute, "
            "unless its administrator has set another limit.",
            file=sys.stderr,
        )
    return RedcapClient(
        url,
        token,
        ca_bundle=options.ca_bundle,
        requests_per_minute=options.requests_per_minute,
    )


def _check(client: RedcapClient, options: argparse.Namespace) -> int:
    report = check_study(client, options.requests_per_minute)
    for line in describe(report):
        print(line)  # noqa: T201
    return 1 if report.obstacle else 0


def _snapshot(client: RedcapClient, options: argparse.Namespace) -> int:
    file: Path = options.file
    project = read_design(client)
    project.snapshot(file)
    print(  # noqa: T201
        f"{file}: the design of {project.info.title} ({len(project.instruments)} instruments, "
        f"{len(project.fields_by_name)} fields). It holds no data of participants."
    )
    return 0


_COMMANDS: dict[str, Callable[[RedcapClient, argparse.Namespace], int]] = {
    "check": _check,
    "export": run_export,
    "snapshot": _snapshot,
}
"""Commands that ask a server."""


def _emulator(arguments: Sequence[str]) -> int:
    try:
        # Deferred: the emulator's libraries come with the extra `emulator` only.
        command = import_module("redcap_dagster.emulator.command")
    except ModuleNotFoundError as error:
        print(  # noqa: T201
            f"redcap-dagster: the emulator needs {error.name}. Install it with: "
            "pip install 'redcap-dagster[emulator]'",
            file=sys.stderr,
        )
        return 1
    return int(command.main(arguments))
