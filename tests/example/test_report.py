"""Plots and the report: whole in themselves, and readable without seeing a plot."""

from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from example_pipeline.analytics import MOST_PLOT_BYTES
from example_pipeline.plots import Plot, plot_table
from example_pipeline.queries import TABLES_READ, published_files, run_query
from example_pipeline.report import render_report

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class _Page(HTMLParser):
    """Collects what a test asks of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str]] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "img":
            self.images.append(attributes)


@pytest.fixture(scope="module")
def tables(shelf: Path) -> dict[str, pa.Table]:
    return {
        name: run_query(name, {table: published_files(shelf, table) for table in read})
        for name, read in TABLES_READ.items()
    }


@pytest.fixture(scope="module")
def plots(tables: Mapping[str, pa.Table]) -> dict[str, Plot]:
    return {name: plot_table(name, table) for name, table in tables.items()}


def test_every_plot_is_a_png_small_enough_for_dagster_with_its_numbers_in_words(
    plots: Mapping[str, Plot],
) -> None:
    for plot in plots.values():
        assert plot.png.startswith(PNG_SIGNATURE)
        assert len(plot.png) <= MOST_PLOT_BYTES
    assert {name: plot.alt for name, plot in plots.items()} == {
        "enrolment_by_month_and_site": "Stacked bars of participants enrolled in each month, "
        "January 2024 to March 2024: 11 in all; Site 1 6, Site 2 5.",
        "visit_completeness_by_event": "Bars of the share of due visits that took place. "
        "Baseline, Usual care: 100 %; Baseline, Add-on biologic: 100 %; "
        "Month 1, Usual care: 100 %; Month 1, Add-on biologic: 0 %.",
        "adverse_events_by_severity": "Bars of participants with an adverse event, by severity. "
        "Mild, Usual care: 5 participants (83 %); "
        "Mild, Add-on biologic: 0 participants (0 %); "
        "Moderate, Usual care: 0 participants (0 %); "
        "Moderate, Add-on biologic: 0 participants (0 %); "
        "Severe, Usual care: fewer than 5 participants; "
        "Severe, Add-on biologic: 0 participants (0 %); "
        "Life-threatening, Usual care: 0 participants (0 %); "
        "Life-threatening, Add-on biologic: 0 participants (0 %).",
        "lung_function_trend_by_arm": "Lines of mean FEV1 in percent of predicted with 95 % "
        "intervals, one for each arm. Usual care from 60.0 % at Baseline to 64.0 % at Month 1.",
    }


def test_equal_tables_make_equal_plots(
    tables: Mapping[str, pa.Table], plots: Mapping[str, Plot]
) -> None:
    assert {name: plot_table(name, table) for name, table in tables.items()} == plots


def test_a_table_without_rows_makes_a_plot_that_says_so(tables: Mapping[str, pa.Table]) -> None:
    for name, table in tables.items():
        plot = plot_table(name, table.slice(0, 0))
        assert (plot.alt, plot.png[:8]) == (f"{plot.title}: no data yet.", PNG_SIGNATURE)


def test_the_report_holds_four_images_with_words_and_four_tables_and_nothing_from_outside(
    tables: Mapping[str, pa.Table], plots: Mapping[str, Plot]
) -> None:
    page = _Page(render_report("A <study>", tables, plots))
    assert [image["alt"] for image in page.images] == [plots[name].alt for name in tables]
    assert page.tags.count("table") == 4
    assert page.tags.count("caption") == 4
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert "study" not in page.tags


def test_the_report_shows_no_withheld_number(
    tables: Mapping[str, pa.Table], plots: Mapping[str, Plot]
) -> None:
    report = render_report("A study", tables, plots)
    severe = report[report.index('<tr><td class="text">Severe') :]
    assert severe[: severe.index("</tr>")] == (
        '<tr><td class="text">Severe</td><td>1</td><td class="text">Usual care</td><td>6</td>'
        "<td>yes</td><td>not shown</td><td>not shown</td><td>not shown</td><td>not shown</td>"
    )
