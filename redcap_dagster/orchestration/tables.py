"""Every table of a study that becomes an asset, in the order in which Dagster lists them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from redcap_dagster.errors import ConfigError
from redcap_dagster.extract import SMALL_TABLES, text_spec
from redcap_dagster.orchestration.attachments import plan_attachments_table
from redcap_dagster.orchestration.audit_log import plan_audit_log_table
from redcap_dagster.orchestration.kinds import ON_REQUEST, TableKind
from redcap_dagster.orchestration.record_changes import (
    RECORD_CHANGES,
    plan_record_changes_table,
    refuse_taken_names,
)
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import plan_findings_table
from redcap_dagster.tables import (
    DEFAULT_TABLE_OPTIONS,
    MISSING_REASONS,
    TableOptions,
    plan_records_table,
    plan_rejected_values_table,
    plan_tables,
)


def plan_study_tables(
    project: RedcapProject,
    options: TableOptions = DEFAULT_TABLE_OPTIONS,
    *,
    include: Sequence[str] | None = None,
    reports: Iterable[int] = (),
    has_rules: bool = True,
) -> tuple[RedcapTableProps, ...]:
    """Every table of the study that is wanted.

    Args:
        project: The study's design.
        options: How the typed tables are laid out.
        include: Kinds of tables, or names of tables, that shall be assets; None for every kind
            but those of `ON_REQUEST`.
        reports: Numbers of the reports that shall be assets.
        has_rules: Whether data-quality rules run, so that there are findings.

    Raises:
        ConfigError: Something to include is neither a kind nor a table of the study, or a field
            has the name of a column of `record_changes`, which is wanted.
    """
    found = tuple(
        item
        for item in _iter_tables(project, options)
        if has_rules or item.kind != "quality_findings"
    )
    wanted = None if include is None else set(include)
    if wanted is not None:
        _refuse_unknown(wanted, found)
    if any(item.kind == "record_changes" and _is_wanted(item, wanted) for item in found):
        refuse_taken_names(project)
    return (
        *(item for item in found if _is_wanted(item, wanted)),
        *(_report(project, number) for number in dict.fromkeys(reports)),
    )


def _is_wanted(item: RedcapTableProps, wanted: set[str] | None) -> bool:
    if wanted is None:
        return item.kind not in ON_REQUEST
    return bool(wanted & {item.kind, item.name})


def _refuse_unknown(wanted: set[str], found: Sequence[RedcapTableProps]) -> None:
    kinds = [kind for kind in get_args(TableKind) if kind != "report"]
    unknown = sorted(wanted.difference(kinds, (item.name for item in found)))
    if unknown:
        raise ConfigError(
            f"`include` names {', '.join(unknown)}, which is no kind of table and no table of this "
            f"study. Kinds are {', '.join(kinds)}; reports are named by `reports`."
        )


def _iter_tables(project: RedcapProject, options: TableOptions) -> Iterator[RedcapTableProps]:
    planned = plan_tables(project, options=options)
    yield RedcapTableProps("records", "records", project, plan_records_table(project))
    for spec in planned:
        if spec.instrument is not None:
            instrument = project.instruments_by_name[spec.instrument]
            yield RedcapTableProps(
                spec.name, "instrument", project, spec, instrument, table_options=options
            )
    rejected = plan_rejected_values_table(project)
    yield RedcapTableProps(
        "rejected_values", "rejected_values", project, rejected, table_options=options
    )
    for spec in planned:
        if spec.name == MISSING_REASONS:
            yield RedcapTableProps(
                MISSING_REASONS, "missing_reasons", project, spec, table_options=options
            )
    findings = plan_findings_table(project)
    yield RedcapTableProps(findings.name, "quality_findings", project, findings)
    for table in SMALL_TABLES.values():
        yield RedcapTableProps(table.kind, table.kind, project, table.spec)
    yield RedcapTableProps("audit_log", "audit_log", project, plan_audit_log_table())
    changes = plan_record_changes_table(project)
    yield RedcapTableProps(RECORD_CHANGES, "record_changes", project, changes)
    yield RedcapTableProps("attachments", "attachments", project, plan_attachments_table(project))


def _report(project: RedcapProject, number: int) -> RedcapTableProps:
    # A hyphen, which no instrument's name can have.
    spec = text_spec(f"report-{number}", f"Report {number}", (), ())
    return RedcapTableProps(spec.name, "report", project, spec, report_id=number)
