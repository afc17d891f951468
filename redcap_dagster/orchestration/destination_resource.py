"""The database that a study's tables are loaded into, as a Dagster resource."""

import dagster as dg
from pydantic import ConfigDict, Field

from redcap_dagster.destinations import Destination


class RedcapDestination(dg.ConfigurableResource):  # type: ignore[type-arg]
    """DuckDB or PostgreSQL, for the assets of `build_redcap_destination_assets`.

    Give an address with a password as `dg.EnvVar`: a literal would be shown in Dagster's page and
    stored in its run database.

    ```python
    warehouse = RedcapDestination(url=dg.EnvVar("WAREHOUSE_URL"), schema_name="asthma")
    ```
    """

    # Without this a misspelt keyword would be ignored silently.
    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        description="duckdb:///folder/file.duckdb (four slashes for an absolute path), or "
        "postgresql://user@host/database with all that libpq takes. Use dg.EnvVar.",
        repr=False,
        json_schema_extra={"dagster__is_secret": True},
    )
    schema_name: str = Field(
        default="redcap",
        description="Schema that the tables are loaded into, made where it is not there. One for "
        "each study.",
    )

    def get_destination(self) -> Destination:
        """The destination, for `redcap_dagster.destinations`.

        Raises:
            ConfigError: The address is of neither.
        """
        return Destination(self.url, self.schema_name)
