"""Reads a study's design from REDCap: eight small requests, no data of participants."""

from redcap_dagster.api import RedcapClient
from redcap_dagster.project import ProjectAnswers, RedcapProject, parse_project


def read_design(client: RedcapClient) -> RedcapProject:
    """The design of the client's project as it is on the server now.

    Raises:
        ApiError: REDCap did not answer, or refused.
        DesignError: What it answered contradicts itself.
    """
    info = client.export_project_info()
    longitudinal = bool(int(info.get("is_longitudinal") or 0))
    repeating = bool(int(info.get("has_repeating_instruments_or_events") or 0))
    return parse_project(
        ProjectAnswers(
            redcap_version=client.export_version(),
            project_info=info,
            metadata=client.export_metadata(),
            instruments=client.export_instruments(),
            arms=client.export_arms() if longitudinal else [],
            events=client.export_events() if longitudinal else [],
            form_event_mappings=client.export_form_event_mappings() if longitudinal else [],
            repeating_instruments_events=(
                client.export_repeating_instruments_events() if repeating else []
            ),
        )
    )
