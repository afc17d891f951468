"""De-identification as a study's assets need it: what is refused, and what the manifest says."""

from collections.abc import Collection, Iterable
from dataclasses import replace

import dagster as dg

from redcap_dagster.errors import ConfigError
from redcap_dagster.orchestration.check_plan import COMPLETE_EXTRACT, DATA_DICTIONARY_CURRENT
from redcap_dagster.orchestration.kinds import TableKind
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.privacy import DeidentificationOptions, Deidentifier, Treatments
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import plan_findings_table
from redcap_dagster.tables import (
    plan_missing_reasons_table,
    plan_records_table,
    plan_rejected_values_table,
    plan_tables,
)

_HOLDS_VALUES: frozenset[TableKind] = frozenset(
    {"survey_participants", "audit_log", "record_changes", "attachments", "report"}
)
_NAMES_STAFF: frozenset[TableKind] = frozenset(
    {"users", "user_form_rights", "user_roles", "data_access_groups", "project_info"}
)


def deidentified_props(
    tables: tuple[RedcapTableProps, ...],
    project: RedcapProject,
    options: DeidentificationOptions | None,
    include: Collection[str] | None,
) -> tuple[RedcapTableProps, ...]:
    """The tables of a study with the columns that they are published with; all without options.

    Tables that name staff are left out, unless `include` names them.

    Raises:
        ConfigError: A table holds values that are not de-identified, or an option names a field
            that is none.
    """
    if options is None:
        return tables
    options.check_fields(project)
    refused = [item.name for item in tables if item.kind in _HOLDS_VALUES]
    if refused:
        raise ConfigError(
            f"De-identification does not reach into {', '.join(refused)}: it holds values of "
            "participants as they were entered. Leave it out, or make it an asset of a study of "
            "its own without de-identification, in another folder."
        )
    treatments = Treatments(project, options)
    return tuple(
        replace(item, spec=treatments.published_spec(item.spec))
        for item in tables
        if item.kind not in _NAMES_STAFF or item.kind in (include or ())
    )


def plan_deidentifier(study: StudyAssets, live: RedcapProject) -> Deidentifier | None:
    """What de-identifies the tables of a step; None where the study does not ask for it.

    Raises:
        ConfigError: The environment has no key, or a field that is to be left out is no longer in
            the study: under another name it would be published.
    """
    options = study.deidentification
    if options is None:
        return None
    gone_fields = sorted(set(options.drop) - live.fields_by_name.keys())
    if gone_fields:
        raise ConfigError(
            f"De-identification leaves out {', '.join(gone_fields)}, and the study in REDCap has "
            "no such field any more. If it was renamed, its values would be published: name it in "
            "`drop` as it is called now, and take the snapshot anew."
        )
    planned = plan_tables(live, options=study.table_options)
    gone = [props.spec for props in study.props.values() if props.kind == "instrument"]
    specs = (
        *gone,
        *planned,
        plan_records_table(live),
        plan_rejected_values_table(live),
        plan_missing_reasons_table(live),
        plan_findings_table(live),
    )
    return Deidentifier(live, specs, options, options.read_key())


def refuse_checks_alone(study: StudyAssets, checks: Iterable[dg.AssetCheckKey]) -> None:
    """Refuse checks that would judge published tables, where those are de-identified.

    Raises:
        ConfigError: One of the checks needs what was left out or changed.
    """
    if study.deidentification is None:
        return
    names = sorted({item.name for item in checks} - {COMPLETE_EXTRACT, DATA_DICTIONARY_CURRENT})
    if names:
        raise ConfigError(
            f"The checks {', '.join(names)} judge raw values, which de-identified tables do not "
            "hold. Materialize their assets, and they are checked on the way."
        )
