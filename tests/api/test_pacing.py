"""When a request is sent again, and how many are sent in a minute. No clock but the test's."""

import errno
import gc
import logging
import multiprocessing
import threading
import warnings
from pathlib import Path

import pytest

from redcap_dagster.api import MachineBudget, RequestLedger, RetryPolicy
from redcap_dagster.api.budget import FOLDER_VARIABLE, LONGEST_PAUSE_S, machine_budget
from redcap_dagster.api.failure import Failure
from redcap_dagster.errors import ConfigError


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def read(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> RequestLedger:
    return RequestLedger(tmp_path, "https://one.example.org", clock.read, clock.sleep)


def test_no_sixty_seconds_hold_more_requests_than_the_budget(
    ledger: RequestLedger, clock: Clock
) -> None:
    budget = MachineBudget(ledger, 3)
    sent: list[float] = []
    for _ in range(10):
        budget.acquire()
        sent.append(clock.now)
        clock.now += 1

    # A millisecond more than a minute: the ledger counts both ends of a window.
    assert sent == pytest.approx(
        [1000, 1001, 1002, 1060, 1061, 1062, 1120, 1121, 1122, 1180], abs=0.01
    )
    assert clock.slept == pytest.approx([57, 57, 57], abs=0.01)


def test_clients_of_one_server_share_its_budget(ledger: RequestLedger, clock: Clock) -> None:
    generous, modest = MachineBudget(ledger, 4), MachineBudget(ledger, 2)

    assert [generous.acquire() for _ in range(3)] == [0.0, 0.0, 0.0]
    clock.now += 10
    assert modest.acquire() == pytest.approx(50.0, abs=0.01)
    assert generous.acquire() == 0.0


def test_a_server_that_asks_for_quiet_gets_it_from_everybody(
    ledger: RequestLedger, clock: Clock
) -> None:
    MachineBudget(ledger, 100).hold_off(7)
    MachineBudget(ledger, 100).hold_off(5)

    assert MachineBudget(ledger, 50).acquire() == pytest.approx(7.0)
    assert clock.slept == pytest.approx([7.0])


def test_two_ledgers_of_one_server_are_one_and_of_another_are_not(
    tmp_path: Path, clock: Clock
) -> None:
    one, again, other = (
        RequestLedger(tmp_path, f"https://{name}.example.org", clock.read, clock.sleep)
        for name in ("one", "one", "other")
    )

    assert [one.acquire(2), again.acquire(2), other.acquire(2)] == [0.0, 0.0, 0.0]
    again.hold_off(5)
    assert one.acquire(10) == pytest.approx(5.0)
    assert other.acquire(10) == 0.0


def test_a_wait_is_logged_with_its_reason_and_the_server(
    ledger: RequestLedger, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="redcap_dagster"):
        for _ in range(2):
            ledger.acquire(1)
        ledger.hold_off(100)
        ledger.acquire(50)

    assert [record.getMessage() for record in caplog.records] == [
        (
            "Waiting 60.0 s before asking https://one.example.org: the budget of 1 requests a "
            "minute is used up."
        ),
        "Waiting 100.0 s before asking https://one.example.org: the server asked for a pause.",
    ]


def test_a_clock_that_is_set_back_blocks_nobody_for_long(
    ledger: RequestLedger, clock: Clock
) -> None:
    ledger.acquire(1)
    clock.now -= 500

    assert ledger.acquire(1) == pytest.approx(0.001)


@pytest.mark.parametrize("text", [b"", b"12", b"soon", b"nan", b"inf", b"-inf", b"\xff"])
def test_a_pause_that_was_half_written_stops_nobody(
    text: bytes, tmp_path: Path, ledger: RequestLedger, clock: Clock
) -> None:
    ledger.hold_off(5)
    (held,) = tmp_path.glob("*.held")
    held.write_bytes(text)

    assert ledger.acquire(5) == 0.0
    ledger.hold_off(5)
    assert ledger.acquire(5) == pytest.approx(5)
    assert clock.slept == pytest.approx([5])


def test_a_pause_is_written_whole_or_not_at_all(
    tmp_path: Path, ledger: RequestLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.hold_off(5)

    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(ConfigError, match="cannot be used: No space left"):
        ledger.hold_off(50)
    assert ledger.acquire(5) == pytest.approx(5)
    assert {file.suffix for file in tmp_path.iterdir()} <= {".held", ".lock", ".sqlite"}


def test_a_pause_does_not_outlast_a_clock_that_is_set_back_by_a_year(
    ledger: RequestLedger, clock: Clock
) -> None:
    clock.now += 365 * 86400
    ledger.hold_off(LONGEST_PAUSE_S + 1)
    assert ledger.acquire(5) == pytest.approx(LONGEST_PAUSE_S)
    ledger.hold_off(5)
    clock.now -= 365 * 86400

    assert ledger.acquire(5) == pytest.approx(0.0, abs=0.01)


class NoRoomError(Exception):
    """There is no room in the budget, and nobody waits for it."""


def refuse_to_wait(seconds: float) -> None:
    raise NoRoomError(seconds)


def send_what_may_be_sent(folder: Path, sent: "multiprocessing.Queue[int]") -> None:
    ledger = RequestLedger(folder, "https://one.example.org", sleep=refuse_to_wait)
    count = 0
    try:
        for _ in range(100):
            ledger.acquire(40)
            count += 1
    except NoRoomError:
        sent.put(count)


def test_processes_together_keep_to_the_budget(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    sent = fork.Queue()
    workers = [fork.Process(target=send_what_may_be_sent, args=(tmp_path, sent)) for _ in range(3)]
    for worker in workers:
        worker.start()
    counts = [sent.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()

    # A minute is long against this test, so the first window is the only one.
    assert sum(counts) == 40


def test_the_ledger_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "shared"))

    machine_budget("https://one.example.org", 10).acquire()

    # Newer versions of filelock leave their file, older ones remove it.
    suffixes = {file.suffix for file in (tmp_path / "shared").iterdir()}
    assert suffixes - {".lock"} == {".sqlite"}


def test_a_folder_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file" / "folder"))

    with pytest.raises(ConfigError, match=f"Set {FOLDER_VARIABLE} to a folder on a local disk"):
        machine_budget("https://one.example.org", 10)


def test_a_ledger_that_is_broken_is_named(tmp_path: Path, ledger: RequestLedger) -> None:
    ledger.acquire(5)
    (database,) = tmp_path.glob("*.sqlite")
    database.write_bytes(b"no database " * 400)
    with pytest.raises(ConfigError, match=r"\.sqlite, where .* Remove the file"):
        ledger.acquire(5)
    with warnings.catch_warnings():
        # pyrate_limiter leaves the connection that failed to be collected; Python 3.13 warns of it.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_a_long_wait_is_said_aloud_once(
    ledger: RequestLedger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.hold_off(90)
    with caplog.at_level(logging.DEBUG, "redcap_dagster"):
        ledger._tell(90, "the server asked for a pause")
        assert ledger.acquire(5) == pytest.approx(90)
        ledger.acquire(5)
        ledger.hold_off(2)
        ledger.acquire(5)
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "DEBUG"]
    assert "Waiting 90.0 s before asking https://one.example.org" in caplog.text


def test_threads_together_keep_to_the_budget(ledger: RequestLedger, clock: Clock) -> None:
    budget = MachineBudget(ledger, 50)
    threads = [
        threading.Thread(target=lambda: [budget.acquire() for _ in range(10)]) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert clock.slept == []
    assert budget.acquire() == pytest.approx(60.0, abs=0.01)


@pytest.mark.parametrize(
    ("per_minute", "share", "sentence"),
    [
        (0, 1.0, "`requests_per_minute` must be 1 or more"),
        (10, 0.0, "`share` is this machine's part"),
        (10, 1.5, "`share` is this machine's part"),
        (10, 0.05, "A `share` of 0.05 of 10 requests a minute is less than one"),
    ],
)
def test_a_budget_of_nothing_is_refused(
    per_minute: int, share: float, sentence: str, ledger: RequestLedger
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        MachineBudget(ledger, per_minute, share)


def test_each_of_several_machines_takes_its_share(ledger: RequestLedger, clock: Clock) -> None:
    budget = MachineBudget(ledger, 9, share=1 / 4)

    assert [budget.acquire(), budget.acquire()] == [0.0, 0.0]
    assert budget.acquire() == pytest.approx(60.0, abs=0.01)
    assert len(clock.slept) == 1


def _waits(policy: RetryPolicy, failure: Failure) -> list[float | None]:
    return [policy.wait_s(failure, sent) for sent in range(1, policy.retries + 2)]


def test_waits_double_up_to_the_longest_and_end() -> None:
    policy = RetryPolicy(retries=4, first_wait_s=1, longest_wait_s=5, chance=lambda: 0.0)

    assert _waits(policy, Failure("server_error", "")) == [1, 2, 4, 5, None]


def test_chance_shortens_a_wait_by_up_to_half_and_lengthens_what_the_server_asked() -> None:
    policy = RetryPolicy(retries=2, first_wait_s=8, chance=lambda: 0.5)

    assert _waits(policy, Failure("server_error", "")) == [6, 12, None]
    assert _waits(policy, Failure("server_error", "", retry_after_s=30)) == [30.5, 30.5, None]
    assert _waits(policy, Failure("server_error", "", retry_after_s=0)) == [6, 12, None]


@pytest.mark.parametrize(
    "reason", ["out_of_memory", "tls", "redirected", "address_banned", "api_token", "rejected"]
)
def test_what_cannot_pass_is_not_sent_again(reason: str) -> None:
    assert RetryPolicy().wait_s(Failure(reason, ""), 1) is None  # type: ignore[arg-type]


def test_a_wait_stays_finite_after_any_number_of_tries() -> None:
    policy = RetryPolicy(retries=5000, chance=lambda: 0.0)

    assert policy.wait_s(Failure("server_error", ""), 5000) == 60.0


def test_negative_retries_are_refused() -> None:
    with pytest.raises(ConfigError, match="0 or more"):
        RetryPolicy(retries=-1)
