"""What is made of the study downstream: four small tables, each with a plot, and one report.

Plain functions do the work (`queries`, `plots`, `report`); here they become Dagster assets. What
Dagster stores of them is aggregated and, where a small count could point at a person, withheld.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from example_pipeline.plots import Plot, plot_table
from example_pipeline.queries import (
    TABLES_READ,
    count_enrolled,
    published_files,
    run_query,
)
from example_pipeline.report import data_uri, render_report
from example_pipeline.study.design import TITLE

INSTRUMENTS_READ = frozenset().union(*TABLES_READ.values())
"""Instruments of the study that the downstream assets read."""

GROUP = "analytics"
MOST_PLOT_BYTES = 200_000
"""Dagster stores a plot with each materialization; a larger one stays in the report only."""


@dataclass(frozen=True, slots=True)
class SmallTable:
    """One downstream table.

    Attributes:
        name: Name of the table, its query and its asset.
        description: What Dagster's page says.
        lineage: Column → the columns of the study it is made of, as (instrument, column).
    """

    name: str
    description: str
    lineage: Mapping[str, Sequence[tuple[str, str]]]


ARM = ("enrolment", "redcap_arm_name")
ENROLLED_ON = ("enrolment", "enrolment_date")
SMALL_TABLES = (
    SmallTable(
        "enrolment_by_month_and_site",
        "Participants enrolled in each month at each site, with the running total.",
        {
            "month": [ENROLLED_ON],
            "site": [("enrolment", "redcap_data_access_group")],
            "participants": [ENROLLED_ON],
            "participants_so_far": [ENROLLED_ON],
        },
    ),
    SmallTable(
        "visit_completeness_by_event",
        "How many of the visits that are due took place, by visit and arm.",
        {
            "event": [("spirometry", "redcap_event_label")],
            "arm": [ARM],
            "visits_due": [ENROLLED_ON, ("enrolment", "consent_date")],
            "visits_done": [("spirometry", "visit_date")],
            "percent_done": [("spirometry", "visit_date"), ("enrolment", "consent_date")],
        },
    ),
    SmallTable(
        "adverse_events_by_severity",
        "Adverse events, and participants who had them, by severity and arm. Counts of fewer than "
        "5 participants are withheld.",
        {
            "severity": [("adverse_events", "ae_severity")],
            "arm": [ARM],
            "participants_in_arm": [ENROLLED_ON],
            "events": [("adverse_events", "ae_severity")],
            "serious_events": [("adverse_events", "ae_serious")],
            "participants": [("adverse_events", "participant_id")],
            "percent_of_arm": [("adverse_events", "participant_id"), ENROLLED_ON],
        },
    ),
    SmallTable(
        "lung_function_trend_by_arm",
        "Mean FEV1 in percent of predicted at each visit, by arm, with a 95 % interval. Values "
        "that no lung can have are left out and counted.",
        {
            "event": [("spirometry", "redcap_event_label")],
            "arm": [("spirometry", "redcap_arm_name")],
            **{
                column: [("spirometry", "fev1_percent_predicted")]
                for column in (
                    "measurements",
                    "implausible_left_out",
                    "mean_percent_predicted",
                    "lower_95",
                    "upper_95",
                )
            },
        },
    ),
)


def build_analytics(shelf: Path, out_dir: Path, *, prefix: str = "asthma") -> dg.Definitions:
    """The downstream assets and their checks.

    Args:
        shelf: Folder that holds the study's published tables.
        out_dir: Folder for the small tables and the report; made when it is not there.
        prefix: First part of the asset keys of the study's instruments.
    """
    return dg.Definitions(
        assets=[
            *(_table_asset(small, shelf, out_dir, prefix) for small in SMALL_TABLES),
            _report_asset(out_dir),
        ],
        asset_checks=[_enrolment_check(shelf, out_dir), _plausibility_check(out_dir)],
    )


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey([GROUP, name])


def _table_asset(small: SmallTable, shelf: Path, out_dir: Path, prefix: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=_key(small.name),
        deps=[dg.AssetKey([prefix, table]) for table in sorted(TABLES_READ[small.name])],
        description=small.description,
        group_name=GROUP,
        kinds={"duckdb", "parquet"},
    )
    def small_table() -> dg.MaterializeResult[None]:
        files = {table: published_files(shelf, table) for table in TABLES_READ[small.name]}
        table = run_query(small.name, files)
        path = _write_table(table, _table_path(out_dir, small.name))
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": table.num_rows,
                "dagster/uri": path.as_uri(),
                "dagster/column_schema": _column_schema(table),
                "dagster/column_lineage": _column_lineage(small, prefix),
                **_plot_metadata(plot_table(small.name, table)),
            }
        )

    return small_table


def _report_asset(out_dir: Path) -> dg.AssetsDefinition:
    @dg.asset(
        key=_key("study_report"),
        deps=[_key(small.name) for small in SMALL_TABLES],
        description="One HTML file with every plot and the numbers under it. Open it in a browser; "
        "it needs no network.",
        group_name=GROUP,
        kinds={"html", "matplotlib"},
    )
    def study_report() -> dg.MaterializeResult[None]:
        names = [small.name for small in SMALL_TABLES]
        tables = {name: pq.read_table(_table_path(out_dir, name)) for name in names}
        plots = {name: plot_table(name, table) for name, table in tables.items()}
        path = _replace(out_dir / "study_report.html", render_report(TITLE, tables, plots).encode())
        return dg.MaterializeResult(
            metadata={
                "dagster/uri": path.as_uri(),
                "dagster/size_bytes": path.stat().st_size,
                "plots": len(plots),
                **_plot_metadata(plots["lung_function_trend_by_arm"]),
            }
        )

    return study_report


def _enrolment_check(shelf: Path, out_dir: Path) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=_key("enrolment_by_month_and_site"),
        description="Every enrolled participant is counted in one month and site, and only once.",
    )
    def every_participant_counted() -> dg.AssetCheckResult:
        table = pq.read_table(_table_path(out_dir, "enrolment_by_month_and_site"))
        counted = sum(table.column("participants").to_pylist())
        enrolled = count_enrolled(published_files(shelf, "enrolment"))
        return dg.AssetCheckResult(
            passed=counted == enrolled,
            description=f"{counted} of {enrolled} enrolled participants are counted.",
            metadata={"participants_counted": counted, "participants_enrolled": enrolled},
        )

    return every_participant_counted


def _plausibility_check(out_dir: Path) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=_key("lung_function_trend_by_arm"),
        description="No measurement had to be left out as impossible for a lung. Those that were "
        "are found by the schema check of spirometry; correct them in REDCap.",
    )
    def no_implausible_measurements() -> dg.AssetCheckResult:
        table = pq.read_table(_table_path(out_dir, "lung_function_trend_by_arm"))
        left_out = sum(table.column("implausible_left_out").to_pylist())
        return dg.AssetCheckResult(
            passed=left_out == 0,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{left_out} measurements left out.",
            metadata={"measurements_left_out": left_out},
        )

    return no_implausible_measurements


def _table_path(out_dir: Path, name: str) -> Path:
    return out_dir / f"{name}.parquet"


def _write_table(table: pa.Table, path: Path) -> Path:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return _replace(path, sink.getvalue().to_pybytes())


def _replace(path: Path, content: bytes) -> Path:
    """Put a whole file where readers look for it, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)
    return path.resolve()


def _column_schema(table: pa.Table) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[dg.TableColumn(field.name, str(field.type)) for field in table.schema]
    )


def _column_lineage(small: SmallTable, prefix: str) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(asset_key=dg.AssetKey([prefix, table]), column_name=source)
                for table, source in sources
            ]
            for column, sources in small.lineage.items()
        }
    )


def _plot_metadata(plot: Plot) -> dict[str, dg.MetadataValue[str]]:
    """The plot as Dagster's page shows it, with its words beneath; the words alone if too large."""
    if len(plot.png) > MOST_PLOT_BYTES:
        return {"plot": dg.MetadataValue.md(plot.alt)}
    return {"plot": dg.MetadataValue.md(f"![{plot.alt}]({data_uri(plot.png)})\n\n{plot.alt}")}
