"""The configurable REDCap resource: where a study is and how gently to ask it."""

from collections.abc import Iterator

import dagster as dg
from pydantic import ConfigDict, Field, PrivateAttr

from redcap_dagster.api import RedcapClient
from redcap_dagster.export import DEFAULT_CELLS_PER_REQUEST, ExportSettings
from redcap_dagster.orchestration.failure import as_dagster_failure
from redcap_dagster.orchestration.materialize import RedcapEvent, materialize_study
from redcap_dagster.orchestration.study import StudyAssets, study_of


class RedcapResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """One REDCap project as a Dagster resource.

    Give the token as `dg.EnvVar`: a literal would be shown in Dagster's page and stored in its run
    database.

    ```python
    redcap = RedcapResource(
        api_url=dg.EnvVar("REDCAP_API_URL"),
        api_token=dg.EnvVar("REDCAP_API_TOKEN"),
    )
    ```
    """

    # Without this a misspelt keyword would be ignored silently.
    model_config = ConfigDict(extra="forbid")

    api_url: str = Field(
        description="Address of the REDCap API, such as https://redcap.example.org/api/ ."
    )
    api_token: str = Field(
        description="API token of the project, 32 hexadecimal characters. Use dg.EnvVar.",
        repr=False,
        json_schema_extra={"dagster__is_secret": True},
    )
    verify_tls: bool = Field(
        default=True, description="Check the server's certificate. Leave it on."
    )
    ca_bundle: str | None = Field(
        default=None,
        description="File of certificates to trust, for a server with an institution's own CA.",
    )
    connect_timeout_s: float = Field(
        default=10.0, gt=0, description="Seconds to wait for a connection."
    )
    read_timeout_s: float = Field(
        default=300.0, gt=0, description="Seconds to wait for the next bytes of an answer."
    )
    retries: int = Field(
        default=4, ge=0, description="Further tries of a request that may succeed when repeated."
    )
    requests_per_minute: int = Field(
        default=300,
        ge=1,
        le=599,
        description="Most requests a minute. REDCap bans an address for good at 600.",
    )
    share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="This machine's part of `requests_per_minute`, where several machines work.",
    )
    concurrency: int = Field(default=4, ge=1, description="Requests under way side by side.")
    cells_per_request: int = Field(
        default=DEFAULT_CELLS_PER_REQUEST,
        ge=1,
        description="Cells, rows times columns, that an answer is planned to hold. Servers die "
        "near 1,000,000.",
    )

    # Opened when first needed, not in `setup_for_execution`: a wrong address or token then fails
    # the step with its own sentence instead of the start of all resources.
    _client: RedcapClient | None = PrivateAttr(default=None)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def get_client(self) -> RedcapClient:
        """The client of every REDCap API method, with this resource's settings.

        Raises:
            ConfigError: The address or the token cannot work.
        """
        if self._client is None:
            self._client = self.open_client()
        return self._client

    def materialize(
        self, context: dg.AssetExecutionContext, study: StudyAssets | None = None
    ) -> Iterator[RedcapEvent]:
        """Export what the context selects and publish it; the body of `@redcap_assets`.

        Asks REDCap only for the instruments of the selected assets. Everything selected is
        published in one step, when all of it is there.

        Args:
            context: Context of a function that `redcap_assets` decorates.
            study: What to export; None takes it from the decorator.

        Yields:
            One `MaterializeResult` for each selected asset, with its check results.

        Raises:
            dg.Failure: The export did not succeed; nothing that readers see has changed.
        """
        with as_dagster_failure():
            yield from materialize_study(
                context,
                study or study_of(context),
                self.get_client(),
                ExportSettings(self.concurrency, self.cells_per_request),
            )

    def open_client(self) -> RedcapClient:
        """A new client with this resource's settings; nothing is sent.

        Override it where the address or the token comes from elsewhere, such as a secret store.

        Raises:
            ConfigError: The address or the token cannot work.
        """
        return RedcapClient(
            self.api_url,
            self.api_token,
            verify_tls=self.verify_tls,
            ca_bundle=self.ca_bundle,
            connect_timeout_s=self.connect_timeout_s,
            read_timeout_s=self.read_timeout_s,
            retries=self.retries,
            requests_per_minute=self.requests_per_minute,
            share=self.share,
        )
