"""`redcap-dagster trigger-inbox`: takes REDCap's data entry triggers until it is stopped."""

import argparse
import json
import socket
from importlib import import_module
from pathlib import Path

from redcap_dagster.errors import ConfigError
from redcap_dagster.inbox import TriggerInbox, trigger_app

TRIGGER_INBOX_HELP = "take REDCap's data entry triggers, as hints for the change sensor"
_LAST_PORT = 65_535


def add_trigger_inbox_options(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("file", type=Path, help="the inbox: the sensor's `inbox`")
    parser.add_argument(
        "--project-id",
        type=int,
        action="append",
        required=True,
        help="number of a project whose triggers are taken; can be given again",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on [%(default)s]")
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="port to listen on [0: a free one]"
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: they go from 0 to {_LAST_PORT}")
    return int(text)


def run_trigger_inbox(options: argparse.Namespace) -> int:
    """Listen until stopped, after one line of JSON that says where.

    Raises:
        ConfigError: The web server is not installed, or the inbox cannot be used.
        OSError: Nobody can listen there.
    """
    try:
        # Deferred: it comes with the extra `emulator` or `trigger` only.
        uvicorn = import_module("uvicorn")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "trigger-inbox needs uvicorn. Install it with: pip install 'redcap-dagster[trigger]'"
        ) from error
    inbox = TriggerInbox(options.file)
    inbox.prepare()  # REDCap does not look at the answers: it would be noticed late, or never
    app = trigger_app(inbox, options.project_id)
    with socket.create_server((options.host, options.port)) as listening:
        host, port = listening.getsockname()[:2]
        print(json.dumps({"url": f"http://{host}:{port}/"}), flush=True)  # noqa: T201
        # No access log: it names who sends, and a proxy in front of it has one.
        config = uvicorn.Config(app, access_log=False, log_level="warning", ws="none")
        uvicorn.Server(config).run(sockets=[listening])
    return 0
