"""The study report: one HTML file that needs nothing else, readable without seeing the plots."""

import base64
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape

import pyarrow as pa

from example_pipeline.plots import Plot, site_name

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto;
  max-width: 60rem; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.8rem; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-top: 1px solid #ddd; padding-top: 1.5rem; }
figure { margin: 0; }
img { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums;
  margin-top: .75rem; }
caption { text-align: left; color: #555; padding-bottom: .35rem; }
th, td { padding: .25rem .75rem .25rem 0; text-align: right; border-bottom: 1px solid #eee; }
th { font-weight: 600; vertical-align: bottom; }
th.text, td.text { text-align: left; }
.note { color: #555; }
@media print { h2 { break-before: page; } }
"""

NOTES = {
    "enrolment_by_month_and_site": "Counted by date of enrolment. Months without enrolment are 0.",
    "visit_completeness_by_event": "A visit is due when its planned day and its window are past. "
    "Participants who left the study stay in the count.",
    "adverse_events_by_severity": "Counts of fewer than 5 participants are withheld, because they "
    "could point at a person.",
    "lung_function_trend_by_arm": "Intervals are the mean ± 1.96 standard errors. Values that no "
    "lung can have are left out and counted in the table. A cohort, not a trial result: arms are "
    "not adjusted for anything, and those who have not reached a visit are not in it.",
}


def render_report(title: str, tables: Mapping[str, pa.Table], plots: Mapping[str, Plot]) -> str:
    """The report as HTML.

    Args:
        title: Title of the study.
        tables: Name → table, in the order of the report.
        plots: Name → plot, for every table.

    Returns:
        A whole document. It holds aggregated counts only, images are inside it.
    """
    introduction = (
        "Study report, made by the pipeline from the tables that were last published. Numbers are "
        "of groups, never of a person."
    )
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}: study report</title>",
        f"<style>{STYLE}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{introduction}</p>',
        *(
            _section(name, table, plots[name], NOTES.get(name, ""))
            for name, table in tables.items()
        ),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def data_uri(png: bytes) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _section(name: str, table: pa.Table, plot: Plot, note: str) -> str:
    return "\n".join(
        [
            f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(plot.title)}</h2>',
            f'<figure><img src="{data_uri(plot.png)}" alt="{escape(plot.alt)}">',
            f'<figcaption class="note">{escape(note)}</figcaption></figure>',
            _table(table, f"{plot.title}, as numbers"),
            "</section>",
        ]
    )


def _table(table: pa.Table, caption: str) -> str:
    names = table.column_names
    is_text = {
        field.name: pa.types.is_string(field.type) or pa.types.is_date(field.type)
        for field in table.schema
    }
    head = "".join(
        f'<th scope="col"{_css(is_text[name])}>{escape(_heading(name))}</th>' for name in names
    )
    body = "\n".join(_row(row, names, is_text) for row in table.to_pylist())
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def _row(row: Mapping[str, object], names: Sequence[str], is_text: Mapping[str, bool]) -> str:
    cells = "".join(
        f"<td{_css(is_text[name])}>{escape(_cell(name, row[name]))}</td>" for name in names
    )
    return f"<tr>{cells}</tr>"


def _css(is_text: bool) -> str:
    return ' class="text"' if is_text else ""


def _heading(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _cell(name: str, value: object) -> str:
    if value is None:
        return "not shown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return f"{value:%b %Y}" if name == "month" else value.isoformat()
    return site_name(str(value)) if name == "site" else str(value)
