"""Sends calls: budget, one POST, judgement, retries. The one place where a failure is raised."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, TypeVar

from redcap_dagster.api.api_token import ApiToken
from redcap_dagster.api.body import Answer
from redcap_dagster.api.budget import RequestBudget
from redcap_dagster.api.call import Call
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.judge import judge
from redcap_dagster.api.retry import RetryPolicy
from redcap_dagster.api.stats import StatsCounter
from redcap_dagster.api.transport import Transport
from redcap_dagster.errors import ConfigError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# A super token belongs to no project (docs/sources.md#tokens).
_WITHOUT_PROJECT = frozenset({"version"})


@dataclass(frozen=True, slots=True)
class Sender:
    """What all views of one client share. Safe to use from several threads."""

    transport: Transport
    api_token: ApiToken
    budget: RequestBudget
    policy: RetryPolicy
    counter: StatsCounter

    def send(self, call: Call, read: Callable[[bytes], Result | Failure]) -> Result:
        """Send a read-only call until its answer can be believed, and return what it says.

        Args:
            call: What to ask.
            read: Makes the result from a judged body, or says why it cannot.

        Raises:
            ApiError: No believable answer came, or REDCap refused.
            ConfigError: A super token where a project's token is due.
        """

        def attempt() -> Result | Failure:
            body = BytesIO()
            failure = self._receive(call, body)
            return failure or read(body.getvalue())

        return self._repeat(call, attempt)

    def stream(self, call: Call, file: BinaryIO) -> int:
        """Send a read-only call and write its judged body to a file, in bounded memory.

        Nothing of a body that was not believed stays in the file.

        Args:
            call: What to ask.
            file: Open for binary writing, and able to seek.

        Returns:
            Bytes written.

        Raises:
            ApiError: No believable answer came, or REDCap refused.
            ConfigError: The file cannot seek, or a super token where a project's is due.
        """
        if not file.seekable():
            raise ConfigError("A body streams only to a file that can seek, so that a retry works.")
        start = file.tell()

        def attempt() -> int | Failure:
            whole = False
            try:
                failure = self._receive(call, file)
                whole = failure is None
            finally:
                if not whole:
                    file.seek(start)
                    file.truncate()
            return failure or file.tell() - start

        return self._repeat(call, attempt)

    def _repeat(self, call: Call, attempt: Callable[[], Result | Failure]) -> Result:
        if self.api_token.is_super and call.content not in _WITHOUT_PROJECT:
            raise ConfigError(
                f"REDCap {call.content} needs the API token of a project (32 hexadecimal digits); "
                "a super token was given."
            )
        sent = 1
        while True:
            outcome = attempt()
            if not isinstance(outcome, Failure):
                return outcome
            self.counter.add(failures=1)
            wait_s = self.policy.wait_s(outcome, sent)
            if wait_s is None:
                # Raised here, after the `except` of the transport was left, on purpose: see
                # failure.py.
                raise outcome.to_error(call.content, sent)
            self._wait(call, outcome, wait_s)
            sent += 1

    def _receive(self, call: Call, sink: BinaryIO) -> Failure | None:
        waited_s = self.budget.acquire()
        self.counter.add(requests=1, waited_s=waited_s)
        answer = self.transport.post(call, self.api_token, sink)
        if not isinstance(answer, Answer):
            return answer
        self.counter.add(bytes_received=answer.size)
        return judge(answer, call)

    def _wait(self, call: Call, failure: Failure, wait_s: float) -> None:
        logger.warning(
            "REDCap %s failed (%s); sending it again in %.1f s.",
            call.content,
            failure.reason,
            wait_s,
        )
        if failure.retry_after_s is not None:
            self.budget.hold_off(failure.retry_after_s)
        self.policy.sleep(wait_s)
        self.counter.add(retries=1, waited_s=wait_s)
