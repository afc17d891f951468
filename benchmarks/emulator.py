"""How large a project the emulator carries: loads it, asks for batches, looks at its memory.

Run `python -m benchmarks.emulator`. The numbers that were seen stand in benchmarks/README.md.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import requests

from redcap_dagster.emulator import RedcapEmulator, synthetic_project

BATCH = 1_000
ROUNDS = 10
CLIENTS = 8


def main() -> int:
    """Measure, and print one line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=200)
    options = parser.parse_args()
    with RedcapEmulator() as redcap:
        started = time.perf_counter()
        token = redcap.add_project(synthetic_project(options.records, columns=options.columns))
        tell("load", seconds=since(started), state_mb=redcap.store.path.stat().st_size / 1e6)
        started = time.perf_counter()
        ids = ask(redcap.url, token, {"fields[0]": "record_id"}).count("\n") - 1
        tell("ids", seconds=since(started), records=ids)
        for body_format in ("csv", "json"):
            taken = [
                batch(redcap.url, token, number * BATCH * 7 % options.records, body_format)
                for number in range(ROUNDS)
            ]
            tell(
                f"batch of {BATCH} records, {body_format}",
                median_seconds=statistics.median(seconds for seconds, _ in taken),
                # Of client and server together; other work on the machine does not count.
                median_cpu_seconds=statistics.median(cpu for _, cpu in taken),
            )
        tell("memory, one client", most_mb=most_megabytes())
        started = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            every = range(0, options.records, BATCH)
            rows = sum(pool.map(lambda n: rows_of(redcap.url, token, n), every))
        tell(f"whole project, {CLIENTS} clients", seconds=since(started), rows=rows)
        tell(f"memory, {CLIENTS} clients in the same process", most_mb=most_megabytes())
    return 0


def batch(url: str, token: str, first: int, body_format: str) -> tuple[float, float]:
    """Return how long one batch takes, by the clock and on the CPU."""
    asked = asked_ids(first)
    started, cpu_started = time.perf_counter(), time.process_time()
    ask(url, token, asked, body_format)
    return since(started), time.process_time() - cpu_started


def rows_of(url: str, token: str, first: int) -> int:
    """Return how many lines one batch has."""
    return ask(url, token, asked_ids(first), "json").count('{"record_id"')


def asked_ids(first: int) -> dict[str, str]:
    """Return the parameters that ask for a batch of records; ids beyond the last are no harm."""
    numbers = range(first + 1, first + BATCH + 1)
    return {f"records[{position}]": str(number) for position, number in enumerate(numbers)}


def ask(url: str, token: str, parameters: Mapping[str, str], body_format: str = "csv") -> str:
    """Return the body of a record export."""
    data = {"token": token, "content": "record", "format": body_format, **parameters}
    answer = requests.post(url, data=data, timeout=600)
    answer.raise_for_status()
    return answer.content.decode()


def most_megabytes() -> float:
    """Return the most memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def since(started: float) -> float:
    """Return the seconds since a moment."""
    return time.perf_counter() - started


def tell(what: str, **numbers: float) -> None:
    """Print one measurement."""
    rounded = {name: round(number, 3) for name, number in numbers.items()}
    sys.stdout.write(json.dumps({"measured": what, **rounded}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
