"""A REDCap that needs no server: the sample study in an emulator that lives as long as a step.

With it `dagster dev` works in a fresh checkout, without a second terminal or any variable set.
"""

from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from redcap_dagster import RedcapResource
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator


class SampleStudyResource(RedcapResource):
    """A `RedcapResource` that starts the emulator with a project file when a step needs it."""

    api_url: str = Field(default="", description="Not used: the emulator chooses its address.")
    api_token: str = Field(default="", description="Not used: the emulator makes one.", repr=False)
    project_xml: str = Field(description="REDCap project XML file to serve.")

    _emulator: RedcapEmulator | None = PrivateAttr(default=None)

    def open_client(self) -> RedcapClient:
        """Start the emulator and open a client of the study in it."""
        emulator = RedcapEmulator()
        emulator.start()
        self._emulator = emulator
        token = emulator.add_project(Path(self.project_xml))
        return RedcapClient(emulator.url, token)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the client and stop the emulator."""
        super().teardown_after_execution(context)
        if self._emulator is not None:
            self._emulator.stop()
            self._emulator = None
