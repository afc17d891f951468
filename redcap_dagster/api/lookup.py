"""Small questions about the study that other methods ask on the way, whatever their own format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redcap_dagster.api.call import Call
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.messages import NO_REPEATING
from redcap_dagster.api.parameters import Value, build_pairs
from redcap_dagster.api.readers import DictReader, Row, read_json
from redcap_dagster.api.sender import Sender
from redcap_dagster.errors import RequestRejectedError

_FIELD = ("field_name", "form_name", "field_type")


@dataclass(frozen=True, slots=True)
class Lookup:
    """Asks REDCap and remembers nothing, as a study may change between two calls."""

    sender: Sender

    def rows(
        self, content: str, columns: Sequence[str], parameters: Mapping[str, Value] | None = None
    ) -> list[Row]:
        """Rows of a list method as dicts.

        Args:
            content: REDCap's name of the method.
            columns: Columns that every row must have.
            parameters: REDCap's parameter names to values.
        """
        return self.send(Call(content, "json", build_pairs(parameters or {})), columns)

    def send(self, call: Call, columns: Sequence[str]) -> list[Row]:
        """Rows of a call that answers in JSON; `columns` are those every row must have."""

        def read(body: bytes) -> list[Row] | Failure:
            rows = DictReader().read(body, call, ())
            if isinstance(rows, Failure) or all(name in row for row in rows for name in columns):
                return rows
            return Failure("not_as_asked", "the rows lack columns that REDCap gives them.", 200)

        return self.sender.send(call, read)

    def project_info(self) -> Row:
        """The project's settings."""
        call = Call("project", "json")

        def read(body: bytes) -> Row | Failure:
            info = read_json(body, call)
            if isinstance(info, (dict, Failure)):
                return info
            return Failure("not_as_asked", "the JSON is not one object.", 200)

        return self.sender.send(call, read)

    def record_id_field(self) -> str:
        """Name of the record id field: the first of the data dictionary."""
        return str(self.metadata()[0]["field_name"])

    def metadata(self) -> list[Row]:
        """The data dictionary; at least one field, as every project has its record id."""
        call = Call("metadata", "json")

        def read(body: bytes) -> list[Row] | Failure:
            rows = DictReader().read(body, call, ())
            if isinstance(rows, Failure):
                return rows
            if rows and all(name in row for row in rows for name in _FIELD):
                return rows
            return Failure("not_as_asked", "the rows are no data dictionary.", 200)

        return self.sender.send(call, read)

    def field_types(self, fields: Sequence[str]) -> dict[str, str]:
        """Types of those of the fields that are in the data dictionary, by name."""
        # All are asked for: REDCap refuses a list that names a form status.
        types = {row["field_name"]: row["field_type"] for row in self.metadata()}
        return {name: types[name] for name in fields if name in types}

    def repeating_instruments(self) -> list[str]:
        """Names of the instruments that repeat by themselves, each once."""
        try:
            rows = self.rows("repeatingFormsEvents", ["form_name"])
        except RequestRejectedError as error:
            if error.server_message.rstrip(".") != NO_REPEATING:
                raise
            return []
        return list(dict.fromkeys(row["form_name"] for row in rows if row["form_name"]))
