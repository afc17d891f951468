"""Where tables are loaded to: a database, named by its address, and a schema in it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from redcap_dagster.destinations.database import Database
from redcap_dagster.destinations.duckdb_file import open_duckdb
from redcap_dagster.destinations.postgresql_server import open_postgresql
from redcap_dagster.errors import ConfigError

DestinationKind = Literal["duckdb", "postgresql"]
"""The kinds of databases that tables can be loaded into."""

_KINDS: dict[str, DestinationKind] = {
    "duckdb": "duckdb",
    "postgres": "postgresql",
    "postgresql": "postgresql",
}


@dataclass(frozen=True)
class Destination:
    """A schema of a database.

    Attributes:
        url: `duckdb:///data/asthma.duckdb` (with four slashes for an absolute path) or
            `postgresql://user@host:5432/database?sslmode=verify-full`, with all that libpq takes.
        schema: Name of the schema, made where it is not there. One for each study.

    Raises:
        ConfigError: The address is of neither.
    """

    url: str = field(repr=False)
    schema: str = "redcap"

    def __post_init__(self) -> None:
        if not self._names_a_database():
            # Not shown: it may hold a password.
            raise ConfigError(
                "The address names no database to load into. It is duckdb:///folder/file.duckdb "
                "(with four slashes for an absolute path) or postgresql://user@host/database."
            )
        if self.kind == "duckdb" and urlsplit(self.url).netloc:
            raise ConfigError(
                "A DuckDB file's address has three slashes before a path from this folder, as in "
                "duckdb:///folder/file.duckdb, and four before one from the root: with two, its "
                "first folder is the name of a machine."
            )
        if not self.schema or "\0" in self.schema:
            raise ConfigError("The schema to load into has no name.")

    def _names_a_database(self) -> bool:
        if self.url.split(":")[0] not in _KINDS:
            return False
        try:
            return self.kind != "duckdb" or bool(self.path.suffix)
        except ValueError:  # a bracket where a machine's name stands
            return False

    @property
    def kind(self) -> DestinationKind:
        """The kind of database."""
        return _KINDS[self.url.split(":")[0]]

    @property
    def path(self) -> Path:
        """The file of a DuckDB destination."""
        return Path(unquote(urlsplit(self.url).path[1:]))

    def open(self) -> AbstractContextManager[Database]:
        """Connect. What is done in the block is committed at its end, or undone as a whole.

        Raises:
            ConfigError: The driver is not installed.
            DestinationError: The database cannot be reached, or refused what was done.
        """
        if self.kind == "duckdb":
            return open_duckdb(self.path, self.schema)
        return open_postgresql(self.url, self.schema)
