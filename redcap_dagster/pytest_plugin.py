"""A pytest plugin: the fixture `redcap_emulator`, a running REDCap on loopback.

pytest loads it in every run of an environment that has this package, so it imports nothing until
the fixture is asked for.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from redcap_dagster.emulator import RedcapEmulator


@pytest.fixture
def redcap_emulator() -> Iterator["RedcapEmulator"]:
    """A running emulator without projects; `add_project` gives it one and returns its token.

    Raises:
        ModuleNotFoundError: The extra `emulator` is not installed.
    """
    # An optional extra: runs that never ask for the fixture need not have it.
    from redcap_dagster.emulator import RedcapEmulator  # noqa: PLC0415

    with RedcapEmulator() as redcap:
        yield redcap
