"""Reads and writes the reports of a project XML."""

from collections.abc import Iterable, Mapping

from redcap_dagster.emulator.design import Report

_SORTS = ("1", "2", "3")


def build_reports(listed: Iterable[Mapping[str, str]], first_id: int) -> tuple[Report, ...]:
    """Build the reports from the attributes of the `redcap:Reports` elements, in file order.

    Args:
        listed: The attributes.
        first_id: Number of the first report; the file holds none.
    """
    return tuple(
        Report(
            report_id=first_id + position,
            unique_name=attributes.get("unique_report_name", ""),
            title=attributes.get("title", ""),
            fields=_names(attributes.get("redcap_reports_fields", "")),
            order_by=tuple(
                (field, attributes.get(f"orderby_sort{number}", "") or "ASC")
                for number in _SORTS
                if (field := attributes.get(f"orderby_field{number}", ""))
            ),
            filter_type=attributes.get("filter_type", "EVENT"),
            logic=attributes.get("advanced_logic", ""),
            limiter_logic=attributes.get("limiter_logic", ""),
            groups=_names(attributes.get("redcap_reports_filter_dags", "")),
            events=_names(attributes.get("redcap_reports_filter_events", "")),
            combine_checkboxes=_flag(attributes, "combine_checkbox_values"),
            output_groups=_flag(attributes, "output_dags"),
            output_survey_fields=_flag(attributes, "output_survey_fields"),
            remove_line_breaks=_flag(attributes, "remove_line_breaks_in_values"),
        )
        for position, attributes in enumerate(listed)
    )


def report_attributes(report: Report, order: int) -> dict[str, str | int]:
    """Return the attributes of a report's `redcap:Reports` element.

    Args:
        report: The report.
        order: Its place in the list, from 1.
    """
    sorts = [*report.order_by, *[("", "")] * len(_SORTS)]
    sorted_by: dict[str, str | int] = {}
    for number, (field, direction) in zip(_SORTS, sorts, strict=False):
        sorted_by[f"orderby_field{number}"] = field
        sorted_by[f"orderby_sort{number}"] = direction
    return {
        "title": report.title,
        "unique_report_name": report.unique_name,
        "report_order": order,
        "combine_checkbox_values": int(report.combine_checkboxes),
        "output_dags": int(report.output_groups),
        "output_survey_fields": int(report.output_survey_fields),
        "remove_line_breaks_in_values": int(report.remove_line_breaks),
        **sorted_by,
        "advanced_logic": report.logic,
        "filter_type": report.filter_type,
        "limiter_logic": report.limiter_logic,
        "redcap_reports_fields": ",".join(report.fields),
        "redcap_reports_filter_dags": ",".join(report.groups),
        "redcap_reports_filter_events": ",".join(report.events),
    }


def _flag(attributes: Mapping[str, str], name: str) -> bool:
    return attributes.get(name, "") == "1"


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
