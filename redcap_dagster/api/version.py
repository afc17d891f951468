"""The version of the server: what it is written like, and asked for once."""

import re
import threading
from collections.abc import Callable

from redcap_dagster.api.call import Call
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.forks import renew_after_fork

VERSION_CALL = Call("version", "text", takes_super_token=True)

_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,9}")


class KnownVersion:
    """A server's version, asked for at most once. Safe to share between threads."""

    def __init__(self) -> None:
        self._version = ""
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Make the lock anew."""
        self._lock = threading.Lock()

    def get(self, ask: Callable[[], str]) -> str:
        """The version; `ask` is called when nobody has."""
        with self._lock:
            if not self._version:
                self._version = ask()
            return self._version


def read_version(body: bytes) -> str | Failure:
    """The version in the body of an answer, such as `14.7.3`."""
    text = body.decode("utf-8", "replace").strip()
    if _VERSION.fullmatch(text):
        return text
    return Failure("not_as_asked", "the answer is not a version number.", 200)


def is_older(version: str, needed: str) -> bool:
    """Whether a version comes before another one; both are numbers with dots between."""
    return _numbers(version) < _numbers(needed)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
