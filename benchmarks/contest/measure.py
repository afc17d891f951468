"""Runs a contestant in a process of its own: seconds by the clock, of CPU, and the tree's memory.

    python -m benchmarks.contest.measure CONTESTANT PORT WORKLOAD SHARE

prints the figures of one run as JSON.
"""

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contest.contestants import FLOORS, RUNS, Place, column_types
from benchmarks.served.study import WORKLOADS, Workload

_SAMPLE_SECONDS = 0.02
_PAGE_MEBIBYTES = os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(name: str, port: int, workload: Workload) -> dict[str, float]:
    """Run one contestant in this process: seconds by the clock, of CPU, and its own peak."""
    types = column_types(workload) if name in FLOORS else {}
    # What was imported is not looked through within the clock: 50 ms, whenever that is due.
    gc.collect()
    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(port, workload, Path(folder), types)
        started, cpu = time.perf_counter(), cpu_seconds()
        RUNS[name](place)
        wall, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": wall, "cpu": cpu, "peak": peak}


def cpu_seconds() -> float:
    """CPU of this process and of its children that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run_apart(name: str, port: int, workload: str, share: float) -> dict[str, float] | None:
    """Run one contestant in a process of its own; None when it failed."""
    command = [sys.executable, "-m", "benchmarks.contest.measure"]
    process = subprocess.Popen(  # noqa: S603 - this file
        [*command, name, str(port), workload, str(share)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak = TreePeak(process.pid)
    out, error = process.communicate()
    tree = peak.stop()
    if process.returncode:
        print(f"<!-- {name} failed: {error.strip().splitlines()[-1][:200]} -->")  # noqa: T201
        return None
    result: dict[str, float] = json.loads(out)
    result["peak"] = max(result["peak"], tree)
    return result


class TreePeak:
    """Watches the memory of a process and its descendants; their peak together, in MiB."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._peak = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> float:
        """Stop watching."""
        self._stopped.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            self._peak = max(self._peak, sum(map(resident_mebibytes, descendants(self._root))))


def descendants(root: int) -> Iterator[int]:
    """A process and all below it."""
    yield root
    try:
        children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    except OSError:  # it ended meanwhile
        return
    for child in children:
        yield from descendants(int(child))


def resident_mebibytes(process: int) -> float:
    """Memory of one process; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_MEBIBYTES
    except OSError:
        return 0.0


if __name__ == "__main__":
    contestant, server_port, served, part = sys.argv[1:]
    figures = measure(contestant, int(server_port), WORKLOADS[served].scaled(float(part)))
    print(json.dumps(figures))  # noqa: T201 - what it is for
