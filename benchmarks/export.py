"""A whole export over HTTP, beside what the field does with the same server.

    python -m benchmarks.export [--quick] [--workloads small large wide sparse] [--rounds 3]
                                [--modes fast slow limit] [--charts docs/images]

The server only slices prepared bytes and runs in a process of its own, as each contestant does.
Contestants take turns, in rounds. What imports cost is left out of the clock; memory is that of
the whole process tree.

Fast server:

- floor: a bare socket, streamed through `pyarrow.csv` with known types into one Parquet file.
- typed: `redcap-dagster export --no-raw`: typed tables, rejected values, proof, manifest.
- raw and typed: `redcap-dagster export`: `records` beside them.
- chunks of PyCap: its documented `chunked_export` of 1,000 records, a frame, one Parquet file.
- requests and pandas: one request, `pandas.read_csv`, one Parquet file.
- floor to a frame: as the floor, to pandas.
- typed to frames: `read_study`, then every table to pandas.

Slow server (50 ms and 2 µs a cell, four workers, dies above a million cells):

- four bare requesters: they know the limit, and keep nothing.
- raw and typed, chunks of PyCap, requests and pandas: as above.

A limit of 100,000 cells that nobody knows of: raw and typed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import matplotlib as mpl
import pandas as pd
import pyarrow as pa

from benchmarks.contest.contestants import (
    FLOOR,
    FRAME_FLOOR,
    FRAMES,
    LIMIT,
    PANDAS,
    PYCAP,
    RAW,
    REQUESTERS_FLOOR,
    TYPED,
)
from benchmarks.contest.measure import run_apart
from benchmarks.served.study import WORKLOADS

UNKNOWN_LIMIT = 100_000
QUICK_SHARE = 0.05
DEFAULT_WORKLOADS = ("small", "large", "wide", "sparse")

CONTESTANTS_OF = {
    "fast": (FLOOR, TYPED, RAW, PYCAP, PANDAS, FRAME_FLOOR, FRAMES),
    "slow": (REQUESTERS_FLOOR, RAW, PYCAP, PANDAS),
    "limit": (RAW,),
}
FLOOR_OF = {FRAMES: FRAME_FLOOR, FRAME_FLOOR: FRAME_FLOOR}


@contextmanager
def serve(workload: str, share: float, mode: str) -> Iterator[int]:
    """A server of the workload in a process of its own; its port."""
    options = [] if mode == "fast" else ["--slow"]
    limit = UNKNOWN_LIMIT if mode == "limit" else LIMIT
    command = [sys.executable, "-m", "benchmarks.served.server", workload, str(share), *options]
    process = subprocess.Popen(  # noqa: S603 - our own server
        [*command, "--limit", str(limit)], stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None:
            raise SystemExit("the server says nothing")
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def read_counts(port: int) -> dict[str, int]:
    """What the server was asked since the last look."""
    with urlopen(f"http://127.0.0.1:{port}/counts") as answer:
        counts: dict[str, int] = json.load(answer)
    return counts


Figures = dict[str, list[dict[str, float]]]


def compare(workload: str, mode: str, rounds: int, share: float) -> Figures:
    """Run every contestant of a mode in turn, several times, and print the medians."""
    figures: Figures = {name: [] for name in CONTESTANTS_OF[mode]}
    with serve(workload, share, mode) as port:
        read_counts(port)
        for _ in range(rounds):
            for name, taken in figures.items():
                result = run_apart(name, port, workload, share)
                counts = read_counts(port)
                if result is not None:
                    taken.append({**result, **counts})
    title = WORKLOADS[workload].scaled(share).title
    say(f"### {title}, {mode} server, medians of {rounds}\n")
    head = ["", "wall s", "x floor", "CPU s", "peak MB", "requests", "refused", "after the first"]
    head += ["largest, cells", "asked, cells", "MB sent", "at once"]
    say(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name, taken in figures.items():
        say(f"| {name} | {' | '.join(cells_of(name, taken, figures))} |")
    say("")
    return figures


def cells_of(name: str, taken: Sequence[dict[str, float]], figures: Figures) -> list[str]:
    """One contestant's line."""
    if not taken:
        return ["failed"] + [""] * 10
    floor = figures.get(FLOOR_OF.get(name, next(iter(figures)))) or []
    wall = middle(taken, "wall")
    ratio = f"{wall / middle(floor, 'wall'):.2f}" if floor else ""
    largest = max(item["largest"] for item in taken)
    return [
        f"{wall:.2f}",
        ratio,
        f"{middle(taken, 'cpu'):.2f}",
        f"{max(item['peak'] for item in taken):.0f}",
        f"{middle(taken, 'requests'):.0f}",
        f"{max(item['refused'] for item in taken):.0f}",
        f"{max(item['refused_knowingly'] for item in taken):.0f}",
        f"{largest:,.0f}",
        f"{middle(taken, 'cells'):,.0f}",
        f"{middle(taken, 'bytes') / 1e6:.1f}",
        f"{max(item['in_flight'] for item in taken):.0f}",
    ]


def middle(taken: Sequence[Mapping[str, float]], key: str) -> float:
    """The median of one figure."""
    return statistics.median(item[key] for item in taken)


def draw(folder: Path, mode: str, results: Mapping[str, Figures]) -> None:
    """Bars of seconds and memory by contestant, one group a workload, into `folder`."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what draws

    done = {name for taken in results.values() for name, runs in taken.items() if runs}
    names = [name for name in CONTESTANTS_OF[mode] if name in done]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4))
    for axis, key, label in zip(axes, ("wall", "peak"), ("seconds", "peak MB"), strict=True):
        for place, name in enumerate(names):
            heights = [
                middle(taken[name], key) if taken[name] else 0.0 for taken in results.values()
            ]
            left = [number + place * 0.8 / len(names) for number in range(len(results))]
            axis.bar(left, heights, width=0.8 / len(names), label=name)
        axis.set_xticks([number + 0.4 for number in range(len(results))], list(results))
        axis.set_ylabel(label)
    axes[0].legend(fontsize="small")
    figure.suptitle(f"Whole export, {mode} server")
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"export-{mode}.png", dpi=110)
    plt.close(figure)


def say(line: str) -> None:
    """Print a line of the result."""
    print(line, flush=True)  # noqa: T201 - what the benchmark is for


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the records, once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--workloads", nargs="+", choices=WORKLOADS, default=list(DEFAULT_WORKLOADS)
    )
    parser.add_argument("--modes", nargs="+", choices=CONTESTANTS_OF, default=list(CONTESTANTS_OF))
    parser.add_argument("--charts", type=Path, metavar="DIR", help="draw export-<mode>.png there")
    options = parser.parse_args()
    share, rounds = (QUICK_SHARE, 1) if options.quick else (1.0, options.rounds)
    say(f"{os.cpu_count()} cores, pyarrow {pa.__version__}, pandas {pd.__version__}\n")
    for mode in options.modes:
        results = {name: compare(name, mode, rounds, share) for name in options.workloads}
        if options.charts is not None:
            draw(options.charts, mode, results)


if __name__ == "__main__":
    main()
