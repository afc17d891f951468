"""Sends calls: budget, one POST, judgement, retries. The one place where a failure is raised."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from io import BytesIO
from threading import Event
from typing import BinaryIO, TypeVar

from redcap_dagster.api.api_token import ApiToken
from redcap_dagster.api.body import Answer
from redcap_dagster.api.budget import RequestBudget
from redcap_dagster.api.call import Call, Need
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.judge import judge
from redcap_dagster.api.notices import FailureNotices
from redcap_dagster.api.retry import RetryPolicy
from redcap_dagster.api.slots import Slots
from redcap_dagster.api.stats import StatsCounter
from redcap_dagster.api.transport import Transport
from redcap_dagster.api.version import VERSION_CALL, KnownVersion, is_older, read_version
from redcap_dagster.errors import ConfigError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Sender:
    """What all views of one client share. Safe to use from several threads.

    Attributes:
        transport: Posts to the server.
        api_token: Of the project.
        budget: Says when a request may be sent.
        policy: Says whether and when one is sent again.
        counter: Counts what was sent and received.
        notices: Says which failures are worth a warning.
        known_version: The server's, once it was asked for.
        concurrency: Requests that may be on their way at once; None for as many as there are.
        slots: Held while one is, and not while a retry waits.
        stopped: Once set, nothing is sent, and who waits to send something again gives up.
    """

    transport: Transport
    api_token: ApiToken
    budget: RequestBudget
    policy: RetryPolicy
    counter: StatsCounter
    notices: FailureNotices = field(default_factory=FailureNotices)
    known_version: KnownVersion = field(default_factory=KnownVersion)
    concurrency: int | None = None
    slots: AbstractContextManager[object] = field(default_factory=nullcontext)
    stopped: Event = field(default_factory=Event)

    def with_concurrency(self, requests: int) -> "Sender":
        """The same, with at most so many requests on their way; itself where it has no more."""
        if self.concurrency is not None and self.concurrency <= requests:
            return self
        return replace(self, concurrency=requests, slots=Slots(requests))

    def send(self, call: Call, read: Callable[[bytes], Result | Failure]) -> Result:
        """Send a call until its answer can be believed, and return what it says.

        Args:
            call: What to ask.
            read: Makes the result from a judged body, or says why it cannot.

        Raises:
            ApiError: No believable answer came, or REDCap refused.
            ConfigError: A super token where a project's token is due.
        """

        def attempt() -> Result | Failure:
            body = BytesIO()
            answer = self._receive(call, body)
            return answer if isinstance(answer, Failure) else read(body.getvalue())

        return self._repeat(call, attempt)

    def stream(self, call: Call, file: BinaryIO) -> Answer:
        """Send a call and write its judged body to a file, in bounded memory.

        Nothing of a body that was not believed stays in the file.

        Args:
            call: What to ask.
            file: Open for binary writing, and able to seek.

        Returns:
            The answer: its size is what was written, and its headers name a file.

        Raises:
            ApiError: No believable answer came, or REDCap refused.
            ConfigError: The file cannot seek, or a super token where a project's is due.
        """
        if not file.seekable():
            raise ConfigError("A body streams only to a file that can seek, so that a retry works.")
        start = file.tell()

        def attempt() -> Answer | Failure:
            whole = False
            try:
                answer = self._receive(call, file)
                whole = isinstance(answer, Answer)
            finally:
                if not whole:
                    file.seek(start)
                    file.truncate()
            return answer

        return self._repeat(call, attempt)

    def require(self, content: str, need: Need) -> None:
        """Refuse what the server is too old for; asks for its version once.

        Raises:
            ApiError: The version could not be found out.
            ConfigError: The server is older.
        """
        version = self.known_version.get(lambda: self.send(VERSION_CALL, read_version))
        if is_older(version, need.version):
            raise ConfigError(
                f"REDCap {content}: {need.what} needs REDCap {need.version} or later; this server "
                f"is {version}. It was not sent, as an older server would ignore or refuse it."
            )

    def _repeat(self, call: Call, attempt: Callable[[], Result | Failure]) -> Result:
        # A super token belongs to no project (docs/sources.md#tokens).
        if self.api_token.is_super and not call.takes_super_token:
            raise ConfigError(
                f"REDCap {call.content} needs the API token of a project (32 hexadecimal digits); "
                "a super token was given."
            )
        for need in call.needs:
            self.require(call.content, need)
        sent = 1
        failed: Failure | None = None
        while True:
            outcome = attempt()
            if not isinstance(outcome, Failure):
                return outcome
            if outcome.reason == "stopped" and failed is not None:
                raise failed.to_error(call.content, sent - 1, is_write=call.is_write)
            self.counter.add(failures=1)
            wait_s = self.policy.wait_s(outcome, sent)
            if call.is_write and not outcome.nothing_done:
                wait_s = None
            if wait_s is None or not self._wait(call, outcome, sent, wait_s):
                # Raised here, after the `except` of the transport was left, on purpose: see
                # failure.py.
                raise outcome.to_error(call.content, sent, is_write=call.is_write)
            failed = outcome
            sent += 1

    def _receive(self, call: Call, sink: BinaryIO) -> Answer | Failure:
        with self.slots:
            waited_s = self.budget.acquire()
            if self.stopped.is_set():  # while it waited for its turn, or before
                self.counter.add(waited_s=waited_s)
                return Failure("stopped", "the client was stopped before the request was sent.")
            self.counter.add(requests=1, waited_s=waited_s)
            outcome = self.transport.post(call, self.api_token, sink)
            if isinstance(outcome, Answer):
                self.counter.add(bytes_received=outcome.size)
                outcome = judge(outcome, call) or outcome
            if isinstance(outcome, Failure):
                pause_s = self.policy.pause_s(outcome)
                if pause_s is not None:  # here: who waits for the slot would ask too early
                    self.budget.hold_off(pause_s)
            return outcome

    def _wait(self, call: Call, failure: Failure, sent: int, wait_s: float) -> bool:
        """Wait before a call is sent again; False when it is not to be."""
        if self.stopped.is_set():
            return False
        is_news = self.notices.is_news(failure.reason, sent, wait_s)
        logger.log(
            logging.WARNING if is_news else logging.DEBUG,
            "The request for %s failed (%s); sending it again in %.1f s.",
            call.content,
            failure.reason,
            wait_s,
        )
        if self.policy.sleep is None:
            self.stopped.wait(wait_s)
        else:
            self.policy.sleep(wait_s)
        if self.stopped.is_set():
            return False
        self.counter.add(retries=1, waited_s=wait_s)
        return True
