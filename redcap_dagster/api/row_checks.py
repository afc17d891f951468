"""Whether the rows of a record export are the ones that were asked for. Pure but for one look-up.

Only what can be known without the study's design is checked; `redcap_dagster.export` knows more.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redcap_dagster.api.failure import Failure
from redcap_dagster.api.records import RecordOptions
from redcap_dagster.errors import name_some

EVENT = "redcap_event_name"
REPEAT_INSTRUMENT = "redcap_repeat_instrument"
REPEAT_INSTANCE = "redcap_repeat_instance"

_OK = 200
_SHOWN = 8
_DIGEST = re.compile(r"[0-9a-f]{32,}")
_HASHED = (
    "the record ids are hashed for the token's user, so that batches by id cannot work, nor any "
    "other request for records by id. Ask for all records in one request, or for a token whose "
    "user may export the record id (User Rights)."
)


@dataclass(frozen=True, slots=True)
class RecordCheck:
    """Compares the rows of one answer with what was asked.

    Attributes:
        options: What was asked.
        field_types: Asks REDCap for the types of some fields; called only when columns lack.
        record_id_field: Name of the record id field, where the caller knows it.
        is_complete: Whether every asked record must have a row.
    """

    options: RecordOptions
    field_types: Callable[[Sequence[str]], dict[str, str]]
    record_id_field: str | None = None
    is_complete: bool = False

    def __call__(
        self, names: Sequence[str], column: Callable[[str], Sequence[str]]
    ) -> Failure | None:
        """What is wrong with the rows; None when nothing is, or nothing can be known.

        Args:
            names: Columns of the answer; none when it has no rows.
            column: Gives the texts of one column.
        """
        if not names:
            return self.without_rows()
        if self.options.get("raw_or_label_headers") == "label":
            return None
        id_column = self._id_column(names)
        if id_column is None:
            return self._find_lacking_columns(names)
        ids = column(id_column)
        return (
            self._find_lacking_columns(names)
            or self._find_other_records(ids)
            or self._find_repeated_rows(names, ids, column)
        )

    def without_rows(self) -> Failure | None:
        """What is wrong with an answer without rows."""
        return self._find_other_records(())

    @property
    def _is_eav(self) -> bool:
        return self.options.get("record_type") == "eav"

    def _id_column(self, names: Sequence[str]) -> str | None:
        if self._is_eav:
            return "record" if "record" in names else None
        if self.record_id_field is not None:
            return self.record_id_field if self.record_id_field in names else None
        asks_all = self.options.get("fields") is None and self.options.get("forms") is None
        # REDCap adds these columns only beside the record id.
        is_beside = EVENT in names or REPEAT_INSTRUMENT in names
        return names[0] if asks_all or is_beside else None

    def _find_lacking_columns(self, names: Sequence[str]) -> Failure | None:
        fields = self.options.get("fields")
        if self._is_eav or fields is None:
            return None
        present = {part for name in names for part in (name, name.split("___")[0])}
        lacking = [name for name in fields if name not in present]
        if lacking:
            types = self.field_types(lacking)
            lacking = [name for name in lacking if types.get(name) != "descriptive"]
        if not lacking:
            return None
        return Failure(
            "column_missing",
            f"the answer lacks {len(lacking)} of the asked fields: "
            f"{name_some(lacking, _SHOWN)}. The token's user has no right to export them, "
            "or the server lost them.",
            _OK,
        )

    def _find_other_records(self, ids: Sequence[str]) -> Failure | None:
        records = self.options.get("records")
        if records is None:
            return None
        # REDCap's database takes ids that differ only in case for the same.
        asked = {str(record_id).strip().casefold() for record_id in records}
        came = {record_id.strip().casefold() for record_id in ids}
        lacking = asked - came
        # Hashed ids come in place of those asked for, or find nothing where they were listed.
        seen = came or (asked if self.is_complete else frozenset())
        if seen and lacking == asked and all(map(_DIGEST.fullmatch, seen)):
            return Failure("record_ids_hashed", _HASHED, _OK)
        other = sum(record_id.strip().casefold() not in asked for record_id in ids)
        if other:
            sentence = f"the answer has {other} rows of records that were not asked for."
            return Failure("record_not_asked", sentence, _OK)
        if self.is_complete and lacking:
            return Failure(
                "record_missing",
                f"{len(lacking)} of {len(asked)} asked records came back without a row. They were "
                "deleted or renamed meanwhile, or the server leaves records out.",
                _OK,
            )
        return None

    def _find_repeated_rows(
        self, names: Sequence[str], ids: Sequence[str], column: Callable[[str], Sequence[str]]
    ) -> Failure | None:
        if self._is_eav or self.options.get("raw_or_label") == "label":
            return None  # several checked choices share a field; events of two arms share a label
        parts = [name for name in (EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE) if name in names]
        keys = list(zip(ids, *map(column, parts), strict=True))
        repeated = len(keys) - len(set(keys))
        if not repeated:
            return None
        return Failure("row_twice", f"the answer holds {repeated} rows twice.", _OK)
