"""Four plots over the study's small tables: each takes a table and gives a PNG with its words.

Colours are those of Okabe and Ito, told apart by colour-blind readers too; every line and bar
that differs by colour differs by marker, hatch or label as well.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Row = dict[str, Any]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MOST_MONTHS_NAMED = 10
HATCHES = ("", "//", "..", "xx", "--")
MARKERS = ("o", "s", "^", "D", "v")
INK = "#222222"
GRID = "#DDDDDD"
SIZE_INCHES = (8.4, 4.3)
DOTS_PER_INCH = 110


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot, ready to be shown.

    Attributes:
        title: What it is about.
        png: The image.
        alt: The image in words, for those who do not see it.
    """

    title: str
    png: bytes
    alt: str


def plot_table(name: str, table: pa.Table) -> Plot:
    """The plot of one of the study's small tables, by its name.

    A table without rows makes a plot that says so.
    """
    title, draw, describe = _PLOTS[name]
    rows = table.to_pylist()
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=12)
    _clean(axes)
    if rows:
        draw(axes, rows)
    else:
        axes.text(0.5, 0.5, "No data yet", ha="center", va="center", transform=axes.transAxes)
    image = io.BytesIO()
    # Without the date and the version of matplotlib, equal tables make equal files.
    figure.savefig(image, format="png", metadata={"Software": None})
    return Plot(title, image.getvalue(), describe(rows) if rows else f"{title}: no data yet.")


def site_name(unique_name: str) -> str:
    """A site as people call it: `harbour_clinic` → Harbour Clinic."""
    return unique_name.replace("_", " ").title()


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#888888")
    axes.tick_params(colors=INK, labelsize=9)
    axes.yaxis.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _distinct(rows: Sequence[Row], column: str) -> list[Any]:
    return list(dict.fromkeys(row[column] for row in rows))


def _legend(axes: Axes, *, is_stacked: bool = False) -> None:
    axes.legend(
        frameon=False,
        fontsize=9,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        reverse=is_stacked,
    )


def _draw_enrolment(axes: Axes, rows: Sequence[Row]) -> None:
    months = _distinct(rows, "month")
    bottom = [0] * len(months)
    for number, site in enumerate(_distinct(rows, "site")):
        heights = [row["participants"] for row in rows if row["site"] == site]
        axes.bar(
            range(len(months)),
            heights,
            bottom=bottom,
            width=0.82,
            color=COLOURS[number % len(COLOURS)],
            hatch=HATCHES[number % len(HATCHES)],
            edgecolor="white",
            linewidth=0.6,
            label=site_name(site),
        )
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    shown = range(0, len(months), -(-len(months) // MOST_MONTHS_NAMED))
    axes.set_xticks(list(shown), [f"{months[index]:%b}\n{months[index]:%Y}" for index in shown])
    axes.set_ylabel("Participants enrolled")
    _legend(axes, is_stacked=True)


def _describe_enrolment(rows: Sequence[Row]) -> str:
    months = _distinct(rows, "month")
    by_site = {
        site: sum(row["participants"] for row in rows if row["site"] == site)
        for site in _distinct(rows, "site")
    }
    sites = ", ".join(f"{site_name(site)} {count}" for site, count in by_site.items())
    return (
        f"Stacked bars of participants enrolled in each month, {months[0]:%B %Y} to "
        f"{months[-1]:%B %Y}: {sum(by_site.values())} in all; {sites}."
    )


def _draw_completeness(axes: Axes, rows: Sequence[Row]) -> None:
    events, arms = _distinct(rows, "event"), _distinct(rows, "arm")
    width = 0.8 / len(arms)
    for number, arm in enumerate(arms):
        values = [
            next((r["percent_done"] for r in rows if (r["arm"], r["event"]) == (arm, event)), 0.0)
            for event in events
        ]
        places = [index + (number - (len(arms) - 1) / 2) * width for index in range(len(events))]
        bars = axes.bar(
            places,
            values,
            width=width * 0.94,
            color=COLOURS[number % len(COLOURS)],
            hatch=HATCHES[number % len(HATCHES)],
            edgecolor="white",
            linewidth=0.6,
            label=arm,
        )
        axes.bar_label(bars, fmt="%.0f", padding=2, fontsize=8, color=INK)
    axes.set_xticks(range(len(events)), events)
    axes.set_ylim(0, 112)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_ylabel("Visits that took place, % of those due")
    _legend(axes)


def _describe_completeness(rows: Sequence[Row]) -> str:
    parts = [f"{row['event']}, {row['arm']}: {row['percent_done']:.0f} %" for row in rows]
    return "Bars of the share of due visits that took place. " + "; ".join(parts) + "."


def _draw_adverse_events(axes: Axes, rows: Sequence[Row]) -> None:
    severities, arms = _distinct(rows, "severity"), _distinct(rows, "arm")
    width = 0.8 / len(arms)
    for number, arm in enumerate(arms):
        of_arm = [row for row in rows if row["arm"] == arm]
        places = [
            index + (number - (len(arms) - 1) / 2) * width for index in range(len(severities))
        ]
        bars = axes.bar(
            places,
            [row["percent_of_arm"] or 0 for row in of_arm],
            width=width * 0.94,
            color=COLOURS[number % len(COLOURS)],
            hatch=HATCHES[number % len(HATCHES)],
            edgecolor="white",
            linewidth=0.6,
            label=arm,
        )
        labels = [
            "fewer\nthan 5" if row["is_suppressed"] else f"{row['participants']}" for row in of_arm
        ]
        axes.bar_label(bars, labels=labels, padding=2, fontsize=8, color=INK)
    axes.set_xticks(range(len(severities)), severities)
    axes.margins(y=0.14)
    axes.set_ylabel("Participants, % of their arm")
    _legend(axes)


def _describe_adverse_events(rows: Sequence[Row]) -> str:
    parts = [
        f"{row['severity']}, {row['arm']}: "
        + (
            "fewer than 5 participants"
            if row["is_suppressed"]
            else f"{row['participants']} participants ({row['percent_of_arm']:.0f} %)"
        )
        for row in rows
    ]
    return "Bars of participants with an adverse event, by severity. " + "; ".join(parts) + "."


def _draw_trend(axes: Axes, rows: Sequence[Row]) -> None:
    for number, arm in enumerate(_distinct(rows, "arm")):
        of_arm = [r for r in rows if r["arm"] == arm and r["mean_percent_predicted"] is not None]
        days = [row["day"] for row in of_arm]
        means = [row["mean_percent_predicted"] for row in of_arm]
        colour = COLOURS[number % len(COLOURS)]
        axes.fill_between(
            days,
            [row["lower_95"] for row in of_arm],
            [row["upper_95"] for row in of_arm],
            color=colour,
            alpha=0.18,
            linewidth=0,
        )
        axes.plot(
            days,
            means,
            color=colour,
            linewidth=2,
            marker=MARKERS[number % len(MARKERS)],
            markersize=6,
            label=f"{arm}\n(n = {of_arm[0]['measurements']} to {of_arm[-1]['measurements']})"
            if of_arm
            else arm,
        )
    visits = {row["day"]: row["event"] for row in rows}
    axes.set_xticks(list(visits), [name.removeprefix("Month ") for name in visits.values()])
    axes.set_xlabel("Visit (month)")
    axes.set_ylabel("FEV1, % of predicted (mean, 95 % interval)")
    _legend(axes)


def _describe_trend(rows: Sequence[Row]) -> str:
    parts = []
    for arm in _distinct(rows, "arm"):
        shown = [r for r in rows if r["arm"] == arm and r["mean_percent_predicted"] is not None]
        if shown:
            first, last = shown[0], shown[-1]
            parts.append(
                f"{arm} from {first['mean_percent_predicted']:.1f} % at {first['event']} to "
                f"{last['mean_percent_predicted']:.1f} % at {last['event']}"
            )
    return (
        "Lines of mean FEV1 in percent of predicted with 95 % intervals, one for each arm. "
        + "; ".join(parts)
        + "."
    )


_PLOTS: Mapping[
    str,
    tuple[str, Callable[[Axes, Sequence[Row]], None], Callable[[Sequence[Row]], str]],
] = {
    "enrolment_by_month_and_site": (
        "Enrolment by month and site",
        _draw_enrolment,
        _describe_enrolment,
    ),
    "visit_completeness_by_event": (
        "Visit completeness",
        _draw_completeness,
        _describe_completeness,
    ),
    "adverse_events_by_severity": (
        "Participants with adverse events, by severity",
        _draw_adverse_events,
        _describe_adverse_events,
    ),
    "lung_function_trend_by_arm": ("Lung function by arm", _draw_trend, _describe_trend),
}
