"""Files in fields: kept once by their content, with a table that says where each belongs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import RequestRejectedError
from redcap_dagster.orchestration.attachment_contents import AttachmentContents, TooLargeError
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import (
    Location,
    TableColumn,
    TableSpec,
    find_extract,
    read_table,
)

ATTACHMENTS = "attachments"
DEFAULT_LARGEST_ATTACHMENT_BYTES = 100_000_000
_STORED, _REFUSED = "stored", "refused"
_PLACE = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")

_OWN_COLUMNS = {
    "redcap_event_name": "Unique name of the event; blank in a classic project",
    "redcap_repeat_instrument": "Repeating instrument; blank where none",
    "redcap_repeat_instance": "Instance; blank where none",
    "field": "Field that holds the file",
    "document_id": "REDCap's number of the file; another file has another one",
    "file_name": "Name it was uploaded with",
    "content_type": "Media type",
    "sha256": "Of the content, 64 hex digits, which is also its name",
    "path": "File of the content, in the study's folder; blank where it is not kept",
    "status": "`stored`, `refused` by REDCap, or `larger than … bytes`",
    "size_bytes": "Size of the content",
}
"""Name → what it holds, of the columns after the record id."""


def plan_attachments_table(project: RedcapProject) -> TableSpec:
    """The layout of the table: where a file belongs, what it is, and where its content lies."""
    own = project.record_id_field
    record_id = "record_id" if own in _OWN_COLUMNS else own
    described = {record_id: "Record id", **_OWN_COLUMNS}
    return TableSpec(
        name=ATTACHMENTS,
        instrument=None,
        label="Files in fields",
        structure="flat",
        key_columns=(record_id, *_PLACE, "field"),
        columns=tuple(
            TableColumn(
                name,
                pa.int64() if name == "size_bytes" else pa.string(),
                "text",
                text,
                nullable=name == "size_bytes",
            )
            for name, text in described.items()
        ),
    )


@dataclass(frozen=True)
class AttachmentStore:
    """The files of a study, in the folder `attachments` of its tables.

    Attributes:
        out_dir: The study's folder, or its place in an object store.
        client: Where to ask.
        project: The study's design as it is now.
        largest_bytes: Files that are larger are listed and not kept.
    """

    out_dir: Location
    client: RedcapClient
    project: RedcapProject
    largest_bytes: int

    def update(self, context: dg.AssetExecutionContext) -> pa.Table:
        """Fetch what is new or changed, and give the table of all files.

        One request lists the files; each that is new or has changed is one more. Content that no
        row has named for a day is removed: `AttachmentContents.clear_away`.

        Raises:
            ApiError: REDCap did not answer.
        """
        spec = plan_attachments_table(self.project)
        key = spec.key_columns
        known = {tuple(row[name] for name in key): row for row in self._published(spec)}
        rows = [self._row(place, known, key) for place in self._places(key)]
        seen = self._published(spec)  # by now it may be another one
        self._contents.clear_away({row["sha256"] for row in [*rows, *seen]})
        statuses = Counter(row["status"] for row in rows)
        context.log.info(
            "%d files: %s.", len(rows), ", ".join(f"{n} {name}" for name, n in statuses.items())
        )
        return pa.Table.from_pylist(rows, schema=spec.arrow_schema)

    def _published(self, spec: TableSpec) -> list[dict[str, Any]]:
        """Rows of the table that readers see, whatever the record id field was called then.

        None where it has other columns: its files are fetched again.
        """
        extract = find_extract(self.out_dir)
        if extract is None or ATTACHMENTS not in extract.tables:
            return []
        table, names = read_table(extract, ATTACHMENTS), spec.arrow_schema.names
        if table.column_names[1:] != names[1:]:
            return []
        rows: list[dict[str, Any]] = table.rename_columns(names).to_pylist()
        return rows

    def _places(self, key: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Where there is a file, with REDCap's number of it.

        A missing data code can stand there instead. One that is a number is taken for a file's, of
        which none must be lost.
        """
        fields = [field.name for field in self.project.iter_fields() if field.field_type == "file"]
        if not fields:
            return
        codes = (code.code for code in self.project.info.missing_data_codes)
        no_files = {code for code in codes if not code.isdecimal()}
        for row in self.client.export_records(fields=fields, record_type="eav"):
            if row["field_name"] in fields and row["value"] not in no_files:
                yield {
                    key[0]: row["record"],
                    **{name: str(row.get(name) or "") for name in _PLACE},
                    "field": row["field_name"],
                    "document_id": row["value"],
                }

    def _row(
        self,
        place: dict[str, Any],
        known: Mapping[tuple[Any, ...], dict[str, Any]],
        key: Sequence[str],
    ) -> dict[str, Any]:
        before = known.get(tuple(place[name] for name in key))
        if before is not None and self._is_as_before(before, place["document_id"]):
            return before
        blank = {"file_name": "", "content_type": "", "sha256": "", "path": "", "size_bytes": None}
        try:
            return place | blank | {"status": _STORED} | self._fetch(place, key)
        except TooLargeError:
            return place | blank | {"status": self._too_large}
        except RequestRejectedError:
            return place | blank | {"status": _REFUSED}

    @property
    def _too_large(self) -> str:
        return f"larger than {self.largest_bytes} bytes"

    def _is_as_before(self, before: Mapping[str, object], document_id: str) -> bool:
        # Servers of long ago name the file instead of its number: another one can have its name.
        if before["document_id"] != document_id or not document_id.isdecimal():
            return False
        if before["status"] == _STORED:
            return bool((self.out_dir / str(before["path"])).is_file())
        return before["status"] == self._too_large

    def _fetch(self, place: Mapping[str, Any], key: Sequence[str]) -> dict[str, Any]:
        instance = place["redcap_repeat_instance"]
        digest, info = self._contents.keep(
            lambda file: self.client.stream_file(
                file,
                place[key[0]],
                place["field"],
                event=place["redcap_event_name"] or None,
                repeat_instance=int(instance) if instance else None,
            ),
            self.largest_bytes,
        )
        return {
            "file_name": info.name,
            "content_type": info.content_type,
            "sha256": digest,
            "path": f"{ATTACHMENTS}/{digest[:2]}/{digest}",
            "size_bytes": info.size,
        }

    @property
    def _contents(self) -> AttachmentContents:
        return AttachmentContents(self.out_dir / ATTACHMENTS)
