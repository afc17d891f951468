"""Processes that work on a study together, and what a test asks of them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.tables import current_extract, verify_extract

ROOT = Path(__file__).parents[2]
PATIENCE_S = 150
PARTICIPANTS = 24


@dataclass
class Cluster:
    """Processes that share nothing but services: REDCap, S3, PostgreSQL, and a broker."""

    emulator: RedcapEmulator
    out_dir: str
    environment: dict[str, str]
    log: IO[bytes]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """A process in a session of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=self.environment | environment,
            cwd=ROOT,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(self, engine: str, partition_key: str, config: Any) -> subprocess.Popen[bytes]:
        """Begin a run of one partition."""
        command = ("tests.scaling.code_location", engine, partition_key)
        return self.start(*command, STUDY_RUN_CONFIG=json.dumps(config))

    def asked(self, content: str) -> int:
        """How many requests for a content the emulator answered."""
        return sum(request.content == content for request in self.emulator.requests)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a process and its children as a power cut does."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)


def records_of(shelf: str) -> int:
    """Records of an extract that is as it was published, and complete."""
    extract = current_extract(shelf)
    assert verify_extract(extract.path) == ()
    export = extract.facts["export"]
    assert export["records_asked"] == export["records_done"]
    assert {"records", "spirometry", "rejected_values"} <= set(extract.tables)
    return int(export["records_done"])


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for another process."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE_S} seconds"
        time.sleep(0.1)
