"""`redcap-dagster check`: whether an extract would work, and what it would take."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from redcap_dagster.api import RedcapClient
from redcap_dagster.cli.counts import counted
from redcap_dagster.errors import RequestRejectedError
from redcap_dagster.export import ExportPlan, RowList, plan_export, read_design, read_row_list
from redcap_dagster.extract import Answer, Rights, find_rights, is_refusal
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import plan_tables

_NAME_WIDTH = 12
_LINE_WIDTH = 88
_EXPORT_IN_FULL = "export every instrument in full"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found out about a study. It holds no record id and no value.

    Attributes:
        server: Address of the server, without a path.
        project: The study's design.
        rights: What the token may do.
        plan: What an extract would ask; None where the token may not export records.
        requests_per_minute: The budget it would keep to.
    """

    server: str
    project: RedcapProject
    rights: Rights
    plan: ExportPlan | None
    requests_per_minute: int

    @property
    def obstacle(self) -> str | None:
        """Why an extract would not work; None when nothing is known to stand in its way."""
        rights = self.rights
        if rights.export == "no":
            return "the token's user may not export records"
        if rights.hidden_instruments:
            names = ", ".join(rights.hidden_instruments)
            return f"the token's user has no export right for {names}"
        if rights.held_back:
            names = ", ".join(rights.held_back)
            return f"the token's user has not the full export right for {names}"
        return None


def check_study(client: RedcapClient, requests_per_minute: int) -> CheckReport:
    """Find out whether an extract would work. Reads a little, changes nothing.

    Raises:
        ApiError: REDCap cannot be reached, does not know the token, or did not answer.
        DesignError: The study's design contradicts itself.
    """
    project = read_design(client)
    rows = _read_rows(client, project)
    return CheckReport(
        server=client.api_url,
        project=project,
        rights=find_rights(client, project, None if rows is None else rows.record_ids),
        plan=None if rows is None else plan_export(project, rows),
        requests_per_minute=requests_per_minute,
    )


def describe(report: CheckReport) -> Iterator[str]:
    """The lines to print, the verdict last."""
    project, plan = report.project, report.plan
    yield _line("server", f"REDCap {project.redcap_version} at {_host(report.server)}")
    yield _line("project", f"{project.info.title} (project {project.info.project_id})")
    yield _line("shape", _shape(project))
    yield _line("size", _size(report))
    for name, facts in _rights_lines(report.rights):
        if facts:
            yield from _wrapped(name, facts)
    yield from _wrapped("plan", _plan(plan, report.requests_per_minute))
    yield from _wrapped("tables", [table.name for table in plan_tables(project)])
    if report.obstacle:
        yield (
            f"An extract would not work: {report.obstacle}. Have it changed under User Rights in "
            "REDCap."
        )
    else:
        yield "An extract would work."


def _read_rows(client: RedcapClient, project: RedcapProject) -> RowList | None:
    try:
        return read_row_list(client, project)
    except RequestRejectedError as error:
        if not is_refusal(error):
            raise
        return None


def _host(url: str) -> str:
    parts = urlsplit(url)
    trust = "TLS, certificate trusted" if parts.scheme == "https" else "plain http on this machine"
    return f"{parts.netloc} ({trust})"


def _shape(project: RedcapProject) -> str:
    if not project.info.is_longitudinal:
        shape = "classic"
    else:
        shape = f"longitudinal, {counted(len(project.events), 'event')} in "
        shape += counted(len(project.arms), "arm")
    return f"{shape}, with repeats" if project.repeats else shape


def _size(report: CheckReport) -> str:
    project, plan = report.project, report.plan
    instruments = counted(len(project.instruments), "instrument")
    fields = counted(len(project.fields_by_name), "field")
    design = f"{instruments}, {fields}"
    return design if plan is None else f"{counted(plan.record_count, 'record')}, {design}"


def _rights_lines(rights: Rights) -> Iterator[tuple[str, list[str]]]:
    facts: list[tuple[Answer, str]] = [
        (rights.log, "read the log"),
        (rights.users, "list users and their rights"),
        (rights.groups, "list data access groups"),
        (rights.api_import, "import by API"),
    ]
    if rights.export == "yes":
        facts.insert(0, ("yes", _EXPORT_IN_FULL if rights.in_full == "yes" else "export records"))
        if rights.in_full == "unknown":
            facts.append(("unknown", _EXPORT_IN_FULL))
    else:
        facts.insert(0, (rights.export, "export records"))
    yield "may", [fact for answer, fact in facts if answer == "yes"]
    yield "may not", [fact for answer, fact in facts if answer == "no"]
    yield "unknown", [f"whether it may {fact}" for answer, fact in facts if answer == "unknown"]
    yield "cannot see", list(_unseen(rights))


def _unseen(rights: Rights) -> Iterator[str]:
    if rights.in_group == "yes":
        yield "records outside its data access group"
    if rights.in_group == "unknown":
        yield "maybe records outside a data access group: could not be found out"
    for name in rights.hidden_instruments:
        yield f"anything of {name}"
    for name, fields in rights.held_back.items():
        yield f"{counted(fields, 'field')} of {name}"
    if rights.log == "no":
        yield "which records were deleted or renamed, without reading all ids"


def _plan(plan: ExportPlan | None, requests_per_minute: int) -> list[str]:
    if plan is None:
        return ["none, as records may not be exported"]
    if not plan.blocks:
        return ["no records to ask for: the tables would be empty"]
    requests = counted(plan.requests, "request")
    size = counted(plan.records_per_request, "record")
    parts = [
        f"{requests} of up to {size} and {plan.columns_per_request:,} columns",
        f"{plan.cells:,} cells",
    ]
    if plan.cells < plan.whole_cells:
        share = 100 * plan.cells / plan.whole_cells
        parts.append(f"{share:.0f} % of what an export without events would ask for")
    parts.append("beside small ones for the design, the rows and the log")
    minutes = plan.requests // requests_per_minute
    if minutes:
        parts.append(f"{minutes} minutes or more at {requests_per_minute} requests a minute")
    return parts


def _line(name: str, fact: str) -> str:
    return f"{name:>{_NAME_WIDTH}}  {fact}"


def _wrapped(name: str, facts: list[str]) -> Iterator[str]:
    line = ""
    for place, fact in enumerate(facts):
        part = fact if place == len(facts) - 1 else f"{fact},"
        if line and len(line) + len(part) >= _LINE_WIDTH - _NAME_WIDTH:
            yield _line(name, line)
            name, line = "", ""
        line = f"{line} {part}" if line else part
    yield _line(name, line)
