"""What a forked process must not share with the one it came from: held locks, open connections.

A thread of the parent may hold a lock at the fork, which nobody in the child would ever give back;
and two processes that read from one connection take each other's answers.
"""

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """Something with locks or connections."""

    def renew(self) -> None:
        """Make them anew. Called in a forked process, before it runs anything else."""


_living: "WeakSet[Renewable]" = WeakSet()


def renew_after_fork(thing: Renewable) -> None:
    """Have something renewed in every process that is forked while it lives."""
    _living.add(thing)


def _renew_all() -> None:
    for thing in list(_living):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
