"""The sample study on an emulator."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from redcap_dagster.emulator import RedcapEmulator

COHORT = Path(__file__).parents[2] / "example_pipeline" / "study" / "asthma_cohort.xml"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RedcapEmulator]:
    with RedcapEmulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def owner(emulator: RedcapEmulator) -> str:
    """Token of a user with every right."""
    return emulator.add_project(COHORT)


@pytest.fixture
def study(emulator: RedcapEmulator, owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says where the study is."""
    monkeypatch.setenv("REDCAP_API_URL", emulator.url)
    monkeypatch.setenv("REDCAP_API_TOKEN", owner)
