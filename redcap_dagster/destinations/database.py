"""What a load needs of a database: one transaction, and half a dozen things done in it."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import pyarrow as pa

from redcap_dagster.destinations.changes import TableThere
from redcap_dagster.destinations.plan import Limits


class Database(ABC):
    """A schema of a database in which a transaction is open.

    Args:
        schema: Name of the schema that tables are loaded into.
    """

    limits: ClassVar[Limits]

    def __init__(self, schema: str) -> None:
        self.schema = schema

    @abstractmethod
    def prepare(self) -> None:
        """Make the schema where it is not there, and wait until no other load is in it."""

    @abstractmethod
    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Carry out a statement; its rows, if it has any."""

    @abstractmethod
    def append(self, table: str, rows: pa.RecordBatchReader, *, is_temporary: bool = False) -> None:
        """Add rows to a table of the schema, or to a temporary one, by the names of its columns."""

    @abstractmethod
    def table_there(self, name: str) -> TableThere | None:
        """The table or view of that name in the schema; None where there is none."""

    @abstractmethod
    def table_comments(self) -> dict[str, str]:
        """The comment of every table in the schema, "" for none."""

    @abstractmethod
    def refusing(self, doing: str) -> AbstractContextManager[None]:
        """Turn what the driver raises into a `DestinationError`.

        Drivers quote values ("Key (id)=(1-007) already exists"), so their messages go nowhere.

        Args:
            doing: What is tried, after "could not".
        """
