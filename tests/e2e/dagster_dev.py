"""`dagster dev` as a user starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS_TO_START = 120


@dataclass
class DagsterPage:
    """Dagster's page: what a browser asks of it."""

    url: str
    out_dir: Path

    def ask(self, query: str, **variables: Any) -> Any:
        """Send a GraphQL query and give its data."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            content = json.load(answer)
        assert "errors" not in content, content
        return content["data"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def dagster_dev(
    folder: Path, *arguments: str, variables: Mapping[str, str]
) -> Iterator[DagsterPage]:
    """`dagster dev` with its home in a folder, until the block is left."""
    home = folder / "home"
    home.mkdir()
    home.joinpath("dagster.yaml").write_text(
        "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
    )
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("REDCAP_")
    } | {"DAGSTER_HOME": str(home), **variables}
    command = [sys.executable, "-m", "dagster", "dev", *arguments]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Its children outlive it otherwise: they are ended as a group.
            start_new_session=True,
        ) as process,
    ):
        page = DagsterPage(f"http://127.0.0.1:{port}", folder / "data")
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not is_up(page.url):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.5)
            yield page
        finally:
            # Asked to end, it takes longer than 20 seconds.
            os.killpg(process.pid, signal.SIGKILL)
