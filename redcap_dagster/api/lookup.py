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


@dataclass(frozen=True, slots=True)
class Lookup:
    """Asks REDCap and remembers nothing, as a study may change between two calls."""

    sender: Sender

    def rows(self, content: str, parameters: Mapping[str, Value] | None = None) -> list[Row]:
        """Rows of a list method as dicts."""
        call = Call(content, "json", build_pairs(parameters or {}))
        return self.sender.send(call, lambda body: DictReader().read(body, call, ()))

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
        call = Call("metadata", "json")

        def read(body: bytes) -> str | Failure:
            rows = DictReader().read(body, call, ())
            if isinstance(rows, Failure):
                return rows
            if not rows:
                return Failure("not_as_asked", "the data dictionary has no field.", 200)
            return str(rows[0]["field_name"])

        return self.sender.send(call, read)

    def field_types(self, fields: Sequence[str]) -> dict[str, str]:
        """Types of those of the fields that are in the data dictionary, by name."""
        # All are asked for: REDCap refuses a list that names a form status.
        types = {row["field_name"]: row["field_type"] for row in self.rows("metadata")}
        return {name: types[name] for name in fields if name in types}

    def repeating_instruments(self) -> list[str]:
        """Names of the instruments that repeat by themselves, each once."""
        try:
            rows = self.rows("repeatingFormsEvents")
        except RequestRejectedError as error:
            if error.server_message.rstrip(".") != NO_REPEATING:
                raise
            return []
        return list(dict.fromkeys(row["form_name"] for row in rows if row["form_name"]))
