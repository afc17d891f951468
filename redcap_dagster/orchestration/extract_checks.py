"""Checks of an extract as such: that it is complete, and made by the design the assets expect."""

from collections.abc import Mapping, Sequence

import dagster as dg

from redcap_dagster.errors import TableError
from redcap_dagster.orchestration.check_plan import COMPLETE_EXTRACT, DATA_DICTIONARY_CURRENT
from redcap_dagster.project import (
    DRIFT_MEANINGS,
    SNAPSHOT_COMMANDS,
    DriftKind,
    DriftPolicy,
    RedcapProject,
    find_drift,
)
from redcap_dagster.tables import RECORDS, PublishedExtract, verify_extract

_MOST_CHANGES_SHOWN = 200


def complete_extract_result(
    asset_key: dg.AssetKey, extracts: Sequence[PublishedExtract], *, looks_at_files: bool
) -> dg.AssetCheckResult:
    """Whether what was published holds every record asked for, as the manifests prove it.

    Args:
        asset_key: Of `records`.
        extracts: One for each partition, which made `records`.
        looks_at_files: Whether to compare the files with the manifest too: they may have been
            changed since.

    Raises:
        TableError: `records` is older than an extract, whose manifest says nothing of it.
    """
    for extract in extracts:
        if extract.tables[RECORDS].extract_id != extract.extract_id:
            raise TableError(
                f"{RECORDS} in {extract.path} is older than the last extract, whose manifest does "
                "not describe it. Materialize it, and it is checked."
            )
    exports = [extract.facts["export"] for extract in extracts]
    expected = sum(export["records_asked"] for export in exports)
    received = sum(export["records_done"] for export in exports)
    rows = sum(export["rows"] for export in exports)
    written = sum(extract.tables[RECORDS].rows for extract in extracts)
    changed = (
        sum(len(verify_extract(extract.path)) for extract in extracts) if looks_at_files else 0
    )
    passed = expected == received and rows == written and not changed
    return dg.AssetCheckResult(
        passed=passed,
        asset_key=asset_key,
        check_name=COMPLETE_EXTRACT,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{received} of {expected} records, {written} of {rows} rows"
        + (f"; {changed} files are not as they were published." if changed else "."),
        metadata={
            "records_expected": expected,
            "records_received": received,
            "rows_received": rows,
            "rows_written": written,
            "changed_files": changed,
            "redcap_version": extracts[0].facts["redcap_version"],
            "design_fingerprint": extracts[0].facts["design_fingerprint"],
        },
    )


def data_dictionary_result(
    asset_key: dg.AssetKey,
    snapshot: RedcapProject,
    live: RedcapProject,
    policy: Mapping[DriftKind, DriftPolicy],
) -> dg.AssetCheckResult:
    """Whether the study's design is the one of the snapshot, and what each change means.

    Passed where every change is only to be noted; a warning, or an error where one is to block.
    """
    changes = find_drift(snapshot, live)
    worth = {policy[change.kind] for change in changes}
    columns = ("change", "policy", "instrument", "field", "event", "detail", "meaning")
    return dg.AssetCheckResult(
        passed=worth <= {"note"},
        asset_key=asset_key,
        check_name=DATA_DICTIONARY_CURRENT,
        severity=dg.AssetCheckSeverity.ERROR if "block" in worth else dg.AssetCheckSeverity.WARN,
        description=f"{len(changes)} change{'' if len(changes) == 1 else 's'} of the design since "
        "the snapshot. To define the assets by the design as it is, write the snapshot anew with "
        f"{SNAPSHOT_COMMANDS}."
        if changes
        else "The design is as in the snapshot.",
        metadata={
            "changes": len(changes),
            "what_changed": dg.MetadataValue.table(
                [
                    dg.TableRecord(
                        dict(
                            zip(
                                columns,
                                (
                                    change.kind,
                                    policy[change.kind],
                                    change.instrument,
                                    change.field,
                                    change.event,
                                    change.detail,
                                    DRIFT_MEANINGS[change.kind],
                                ),
                                strict=True,
                            )
                        )
                    )
                    for change in changes[:_MOST_CHANGES_SHOWN]
                ],
                schema=dg.TableSchema([dg.TableColumn(name, "string") for name in columns]),
            ),
        },
    )
