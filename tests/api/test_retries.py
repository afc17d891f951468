"""A passing failure is tried again, after the wait that the server asks for."""

import io
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient, RetryPolicy
from redcap_dagster.api.notices import FailureNotices
from redcap_dagster.errors import RateLimitedError, ServerError, TransportError
from tests.api.bad_answers import HTML, ROWS, TOKEN


def test_a_passing_failure_is_retried_and_leaves_no_trace_in_the_file(
    client: RedcapClient, server: Any, waits: list[float]
) -> None:
    server.answers(server.http(HTML, 502), server.http(ROWS[:-1]), server.http(ROWS))
    file = io.BytesIO()

    assert client.stream_records_csv(file) == len(ROWS)
    assert file.getvalue() == ROWS.encode()
    assert waits == [1.0, 2.0]
    stats = client.stats
    assert (stats.requests, stats.retries, stats.failures, stats.waited_s) == (3, 2, 2, 3.0)


def test_retry_after_in_seconds_and_as_a_date_is_obeyed(
    make_client: Any, server: Any, waits: list[float]
) -> None:
    held: list[float] = []

    class Budget:
        def acquire(self) -> float:
            return 0.0

        def hold_off(self, seconds: float) -> None:
            held.append(seconds)

    server.answers(
        server.http("", 429, Retry_After="7"),
        server.http(
            "",
            503,
            Date="Mon, 01 Jan 2024 00:00:00 GMT",
            Retry_After="Mon, 01 Jan 2024 00:00:30 GMT",
        ),
        server.http(ROWS),
    )

    assert make_client(budget=Budget()).export_records_csv() == ROWS.encode()
    assert waits == [7.0, 30.0]
    assert held == [7.0, 30.0]


def test_one_warning_speaks_for_all_that_fail_together(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(server.http(HTML, 502))
    together = threading.Barrier(4)
    policy = RetryPolicy(2, first_wait_s=30, sleep=lambda _: together.wait(10) and None)
    with (
        caplog.at_level(logging.DEBUG, "redcap_dagster"),
        RedcapClient(server.url, TOKEN, retries=policy, requests_per_minute=6000) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        for future in [pool.submit(client.export_version) for _ in range(4)]:
            assert isinstance(future.exception(), ServerError)

    levels = [record.levelname for record in caplog.records if "sending it again" in record.msg]
    assert sorted(levels) == ["DEBUG"] * 6 + ["WARNING"] * 2


def test_who_fails_alone_says_so_each_time() -> None:
    now = [0.0]
    notices = FailureNotices(lambda: now[0])

    assert notices.is_news("server_error", 1, 2.0)
    assert not notices.is_news("server_error", 1, 1.0)
    assert notices.is_news("server_error", 2, 4.0)
    assert notices.is_news("connection_lost", 1, 1.0)
    now[0] = 2.0
    assert notices.is_news("server_error", 1, 1.0)


def test_a_wait_longer_than_anyone_waits_is_told_to_the_caller(
    client: RedcapClient, server: Any, waits: list[float]
) -> None:
    server.answers(server.http("", 429, Retry_After="86400"))

    with pytest.raises(RateLimitedError) as caught:
        client.export_version()

    assert (caught.value.retry_after_s, caught.value.attempts, waits) == (86400.0, 1, [])


class BudgetThatStops:
    """Lets requests go, and stops the client while the last of them waits."""

    def __init__(self, requests: int) -> None:
        self.stopped = threading.Event()
        self._left = requests

    def acquire(self) -> float:
        """Wait half a second, which nobody does."""
        self._left -= 1
        if not self._left:
            self.stopped.set()
        return 0.5

    def hold_off(self, seconds: float) -> None:
        """Nobody asks for a pause."""


def test_a_client_that_is_stopped_while_it_waits_for_its_turn_sends_nothing(
    make_client: Any, server: Any
) -> None:
    budget = BudgetThatStops(1)
    client = make_client(budget=budget).until(budget.stopped)

    with pytest.raises(TransportError, match="was stopped before") as caught:
        client.import_records([{"record_id": "1"}])

    assert (caught.value.reason, caught.value.attempts) == ("stopped", 1)
    assert "look before" not in str(caught.value)
    assert server.requests == []
    assert (client.stats.requests, client.stats.waited_s) == (0, 0.5)


def test_a_client_that_is_stopped_before_a_retry_says_why_it_failed(
    make_client: Any, server: Any
) -> None:
    budget = BudgetThatStops(2)
    server.answers(server.http(HTML, 502))

    with pytest.raises(ServerError) as caught:
        make_client(budget=budget).until(budget.stopped).export_version()

    assert (caught.value.reason, caught.value.attempts) == ("server_error", 1)
    assert len(server.requests) == 1
