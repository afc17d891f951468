"""A server that fails one request in five, and an extract that is whole all the same."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from redcap_dagster.api import RedcapClient, RetryPolicy
from redcap_dagster.emulator import RedcapEmulator, synthetic_project
from redcap_dagster.extract import ExtractRequest, extract_study
from redcap_dagster.tables import PublishedExtract

SEEDS = range(20)
RETRY_AFTER_S = 7
# Each strikes by itself: together one request in five, 1 - (1 - share) ** 11.
SHARE = 0.02
ANY_REQUEST = (
    "status:code=502",
    "status:code=503",
    f"status:code=429,retry_after={RETRY_AFTER_S}",
    "reset:when=before",
    "reset:when=during",
    "cut:framing=length",
)
# What looks like a whole answer can be told from one only where it is known what was asked.
RECORD_REQUESTS = (
    "cut:framing=whole,keep=0.7",
    "short:rows=1,which=last",
    "short:rows=3,which=last",
    "memory:cells=0,body=fatal",
    "memory:cells=0,body=both",
)
REQUEST = ExtractRequest(cells_per_request=400)


class Clock:
    """Time that passes only while somebody waits, so that no test does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0.0
        self._held_until = 0.0

    def now(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds

    # A request budget without a limit, which keeps to what the server asked for.

    def acquire(self) -> float:
        with self._lock:
            waited = max(0.0, self._held_until - self._now)
            self._now += waited
        return waited

    def hold_off(self, seconds: float) -> None:
        with self._lock:
            self._held_until = max(self._held_until, self._now + seconds)


@pytest.fixture(scope="module")
def emulator() -> Iterator[RedcapEmulator]:
    with RedcapEmulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def token(emulator: RedcapEmulator) -> str:
    return emulator.add_project(synthetic_project(records=30, shape="everything", columns=40))


@pytest.fixture(scope="module")
def undisturbed(
    emulator: RedcapEmulator, token: str, tmp_path_factory: pytest.TempPathFactory
) -> PublishedExtract:
    with RedcapClient(emulator.url, token, retries=0) as client:
        return extract_study(client, tmp_path_factory.mktemp("undisturbed"), REQUEST)


def misbehave(emulator: RedcapEmulator, seed: int) -> None:
    specs = [*ANY_REQUEST, *(f"{spec},content=record" for spec in RECORD_REQUESTS)]
    for number, spec in enumerate(specs):
        # Faults of one kind and seed would strike the same requests.
        emulator.faults.add(f"{spec},share={SHARE},seed={100 * seed + number}")


def patient_client(emulator: RedcapEmulator, token: str, seed: int, clock: Clock) -> RedcapClient:
    chance = random.Random(seed)  # noqa: S311 - no secret
    policy = RetryPolicy(6, sleep=clock.sleep, chance=chance.random)
    return RedcapClient(emulator.url, token, retries=policy, budget=clock)


def files(extract: PublishedExtract) -> dict[str, str]:
    return {name: table.sha256 for name, table in extract.tables.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_an_extract_is_whole_though_one_request_in_five_fails(
    seed: int, emulator: RedcapEmulator, token: str, undisturbed: PublishedExtract, tmp_path: Path
) -> None:
    misbehave(emulator, seed)
    try:
        with patient_client(emulator, token, seed, Clock()) as client:
            extract = extract_study(client, tmp_path, REQUEST)
        struck = sum(emulator.faults.struck.values())
    finally:
        emulator.faults.clear()
    assert files(extract) == files(undisturbed)
    assert struck > 0


def test_the_faults_strike_about_one_request_in_five() -> None:
    count = len(ANY_REQUEST) + len(RECORD_REQUESTS)
    assert 0.18 < 1 - (1 - SHARE) ** count < 0.22


def test_no_request_is_sent_before_the_server_asked_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    with RedcapEmulator() as emulator:
        monkeypatch.setattr(emulator._counters, "_seconds", clock.now)
        token = emulator.add_project(synthetic_project(records=30))
        emulator.faults.add(f"status:code=429,retry_after={RETRY_AFTER_S},share=0.3")
        with patient_client(emulator, token, 0, clock) as client:
            # One at a time: what is under way when a server says so is not early.
            extract_study(client, tmp_path, ExtractRequest(cells_per_request=100, concurrency=1))
        struck = emulator.faults.struck["status"]
        early = emulator.counts.early_retries
    assert struck > 3
    assert early == 0
    assert clock.now() >= struck * RETRY_AFTER_S
