"""When a request is sent again, and how many are sent in a minute. No clock but the test's."""

import threading

import pytest

from redcap_dagster.api import ProcessBudget, RequestLedger, RetryPolicy
from redcap_dagster.api.budget import process_budget
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
def ledger(clock: Clock) -> RequestLedger:
    return RequestLedger(clock=clock.read, sleep=clock.sleep)


def test_no_sixty_seconds_hold_more_requests_than_the_budget(
    ledger: RequestLedger, clock: Clock
) -> None:
    budget = ProcessBudget(ledger, 3)
    sent: list[float] = []
    for _ in range(10):
        budget.acquire()
        sent.append(clock.now)
        clock.now += 1

    assert sent == [1000, 1001, 1002, 1060, 1061, 1062, 1120, 1121, 1122, 1180]
    assert clock.slept == [57, 57, 57]


def test_clients_of_one_server_share_its_budget(ledger: RequestLedger, clock: Clock) -> None:
    generous, modest = ProcessBudget(ledger, 4), ProcessBudget(ledger, 2)

    assert [generous.acquire() for _ in range(3)] == [0.0, 0.0, 0.0]
    clock.now += 10
    assert modest.acquire() == 50.0
    assert generous.acquire() == 0.0


def test_a_server_that_asks_for_quiet_gets_it_from_everybody(
    ledger: RequestLedger, clock: Clock
) -> None:
    ProcessBudget(ledger, 100).hold_off(7)
    ProcessBudget(ledger, 100).hold_off(5)

    assert ProcessBudget(ledger, 50).acquire() == 7.0
    assert clock.slept == [7.0]


def test_a_process_keeps_one_ledger_for_a_server() -> None:
    first = process_budget("https://one.example.org", 10)
    second = process_budget("https://one.example.org", 20)
    other = process_budget("https://two.example.org", 10)

    assert first._ledger is second._ledger
    assert first._ledger is not other._ledger


def test_threads_together_keep_to_the_budget(ledger: RequestLedger, clock: Clock) -> None:
    budget = ProcessBudget(ledger, 50)
    threads = [
        threading.Thread(target=lambda: [budget.acquire() for _ in range(10)]) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert clock.slept == []
    assert budget.acquire() == 60.0


def test_a_budget_below_one_request_is_refused(ledger: RequestLedger) -> None:
    with pytest.raises(ConfigError, match="`requests_per_minute` must be 1 or more"):
        ProcessBudget(ledger, 0)


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
