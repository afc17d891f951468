"""Which failure is worth another try, and how long to wait before it. Pure."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from redcap_dagster.api.failure import Failure, Reason
from redcap_dagster.errors import ConfigError

# Asking for the same again ends the same way and costs the server most: ask for less instead.
_ASK_FOR_LESS: frozenset[Reason] = frozenset({"out_of_memory"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when to send a request again that failed in a way that may pass.

    Waits double from `first_wait_s` to `longest_wait_s`, each shortened by a random part of its
    half so that many workers do not come back at once. A wait that the server asks for with
    Retry-After is kept to, and lengthened by the same random part of at most a second.

    Attributes:
        retries: Further tries after the first.
        first_wait_s: Longest wait before the second try.
        longest_wait_s: No wait of ours is longer.
        longest_retry_after_s: A server that asks for more than this is taken at its word: the
            call fails now, and its error says how long to stay away. Other clients of the machine
            are held for an hour at most.
        sleep: Waits that many seconds, in place of a wait that `RedcapClient.until` can end.
        chance: Draws from [0, 1).
    """

    retries: int = 4
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    longest_retry_after_s: float = 600.0
    sleep: Callable[[float], None] | None = None
    chance: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ConfigError("`retries` is the number of further tries: 0 or more.")

    def wait_s(self, failure: Failure, sent: int) -> float | None:
        """Seconds to wait before the next try, or None to give up.

        Args:
            failure: How the last try failed.
            sent: How many times the request was sent, the first included.
        """
        if sent > self.retries or not failure.retryable or failure.reason in _ASK_FOR_LESS:
            return None
        asked = self.pause_s(failure)
        if asked != failure.retry_after_s:
            return None
        # 2.0 ** 30 is beyond every wait, and keeps the float finite for thousands of retries.
        ours = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(sent - 1, 30))
        jittered = ours * (1 - self.chance() / 2)
        return jittered if asked is None else max(jittered, asked + min(1.0, ours) * self.chance())

    def pause_s(self, failure: Failure) -> float | None:
        """Seconds for which the server asked to be left alone; None for none, or for too many."""
        asked = failure.retry_after_s
        return None if asked is None or asked > self.longest_retry_after_s else asked
