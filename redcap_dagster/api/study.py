"""Methods for a project as a whole: making one, its XML, external modules."""

import re
from collections.abc import Mapping
from typing import Any, BinaryIO, Literal, TypedDict

from typing_extensions import Unpack

from redcap_dagster.api.call import Call, Need
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.parameters import Names, Value, build_pairs, filled, names
from redcap_dagster.api.payload import build_payload
from redcap_dagster.api.writes import Writes, import_call
from redcap_dagster.errors import ConfigError

_MODULE_API = Need("the API of external modules", "14.0.0")
_EXPORT_FILES = Need("`export_files`", "6.12.1")
_TOKEN = re.compile(r"[0-9A-Fa-f]{32}")


class ProjectXmlOptions(TypedDict, total=False):
    """Parameters of a project's XML, each off or "all" when left out.

    Attributes:
        metadata_only: Leave the records out.
        records: Record ids; None for all.
        fields: Field names; None for all.
        events: Unique event names; None for all.
        export_survey_fields: Add survey identifier and time stamps.
        export_data_access_groups: Add the data access group of each record.
        filter_logic: REDCap logic; only rows for which it holds.
        export_files: Put uploaded files into the XML, which can exhaust the server's memory.
    """

    metadata_only: bool
    records: Names
    fields: Names
    events: Names
    export_survey_fields: bool
    export_data_access_groups: bool
    filter_logic: str | None
    export_files: bool


class StudyMethods(Writes):
    """Making a project, a project's XML, and what external modules answer."""

    def create_project(self, settings: Mapping[str, Any], odm: str | None = None) -> str:
        """Make a project; only with a super token. The token's owner gets every right in it.

        Args:
            settings: `project_title` and `purpose` (0 practice, 1 other, 2 research, 3 quality, 4
                operational support), and more of them; `purpose_other` when `purpose` is 1.
            odm: Project XML to fill it from, with or without data.

        Returns:
            The API token of the new project: a secret.

        Raises:
            ConfigError: The client's token is no super token, or the settings lack something.
        """
        if not self._sender.api_token.is_super:
            raise ConfigError("REDCap makes projects for super tokens (64 characters) only.")
        lacking = [name for name in ("project_title", "purpose") if name not in settings]
        if lacking:
            raise ConfigError(f"The settings of a new project need {' and '.join(lacking)}.")
        payload = build_payload([settings])
        call = import_call("project", payload, {"odm": odm}, takes_super_token=True)
        return self._sender.send(call, _read_token)

    def export_project_xml(self, **options: Unpack[ProjectXmlOptions]) -> str:
        """The whole project as CDISC ODM: its design and its records. See `ProjectXmlOptions`.

        `stream_project_xml` takes big projects.
        """
        return self._sender.send(_xml_call(options), _read_text)

    def stream_project_xml(self, file: BinaryIO, **options: Unpack[ProjectXmlOptions]) -> int:
        """Write the whole project as CDISC ODM to an open file while it comes.

        Args:
            file: Open for binary writing, and able to seek; written from where it stands.
            **options: See `ProjectXmlOptions`.

        Returns:
            Bytes written.
        """
        return self._sender.stream(_xml_call(options), file).size

    def export_report_odm(self, report_id: int | str) -> str:
        """A saved report as CDISC ODM.

        Args:
            report_id: The number that REDCap shows beside the report.
        """
        call = Call("report", "xml", build_pairs({"report_id": str(report_id)}), "odm")
        return self._sender.send(call, _read_text)

    def call_external_module(
        self,
        prefix: str,
        action: str,
        parameters: Mapping[str, str] | None = None,
        *,
        return_format: Literal["csv", "json", "xml", "odm"] = "json",
    ) -> str:
        """What an external module answers. REDCap 14 and later.

        Sent once: only the module knows whether it changes something.

        Args:
            prefix: The module's directory prefix, without its version.
            action: The module's action; `__version`, `__actions` and `__info` every module has.
            parameters: The action's own parameters.
            return_format: What `format` says; what comes back is up to the module.
        """
        values: dict[str, Value] = {"prefix": prefix, "action": action, **(parameters or {})}
        call = Call(
            "externalModule",
            "text",
            build_pairs(values),
            return_format,
            is_write=True,
            may_be_nothing=True,
            needs=(_MODULE_API,),
        )
        return self._sender.send(call, _read_text)

    def generate_next_record_name(self) -> str:
        """The record id that REDCap would give next. It is not reserved: two callers may get it."""
        call = Call("generateNextRecordName", "text")
        return self._sender.send(call, lambda body: body.decode("utf-8", "replace").strip())


def _xml_call(options: ProjectXmlOptions) -> Call:
    export_files = options.get("export_files", False)
    values: dict[str, Value] = {
        "returnMetadataOnly": options.get("metadata_only"),
        "records": names("records", options.get("records")),
        "fields": names("fields", options.get("fields")),
        "events": names("events", options.get("events")),
        "exportSurveyFields": options.get("export_survey_fields"),
        "exportDataAccessGroups": options.get("export_data_access_groups"),
        "filterLogic": filled("filter_logic", options.get("filter_logic")),
        "exportFiles": export_files,
    }
    needs = (_EXPORT_FILES,) if export_files else ()
    return Call("project_xml", "xml", build_pairs(values), needs=needs)


def _read_text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _read_token(body: bytes) -> str | Failure:
    text = body.decode("utf-8", "replace").strip().strip('"')
    # Some servers print a line of SQL before the token (docs/sources.md#tokens).
    token = text[-32:]
    if _TOKEN.fullmatch(token):
        return token
    return Failure("not_as_asked", "the answer is not the token of a new project.", 200)
