"""A REDCap on loopback, for tests, demonstrations and users' own pipelines.

It shares no code with the package it tests: a bug in a shared parser would be in the question and
in the answer. Needs the extra `emulator`.
"""

from redcap_dagster.emulator.asked import AskedRequest
from redcap_dagster.emulator.counters import Counts
from redcap_dagster.emulator.emulator import DEFAULT_REDCAP_VERSION, RedcapEmulator
from redcap_dagster.emulator.errors import EmulatorError, ProjectFileError
from redcap_dagster.emulator.faults.fault import Fault
from redcap_dagster.emulator.options import ServerOptions
from redcap_dagster.emulator.state.allocations import Allocation
from redcap_dagster.emulator.synthetic import SyntheticProject, synthetic_project

__all__ = [
    "DEFAULT_REDCAP_VERSION",
    "Allocation",
    "AskedRequest",
    "Counts",
    "EmulatorError",
    "Fault",
    "ProjectFileError",
    "RedcapEmulator",
    "ServerOptions",
    "SyntheticProject",
    "synthetic_project",
]
