"""Reads a study's design from REDCap: eight small requests, no data of participants."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from redcap_dagster.api import RedcapClient
from redcap_dagster.project import ProjectAnswers, RedcapProject, parse_project


def read_design(client: RedcapClient) -> RedcapProject:
    """The design of the client's project as it is on the server now.

    Raises:
        ApiError: REDCap did not answer, or refused.
        DesignError: What it answered contradicts itself.
    """
    return parse_project(read_answers(client))


def read_answers(client: RedcapClient, *, concurrency: int = 1) -> ProjectAnswers:
    """What REDCap answers about the client's project, to be parsed by `parse_project`.

    Args:
        client: Where to ask.
        concurrency: Requests side by side.

    Raises:
        ApiError: REDCap did not answer, or refused.
    """
    with ThreadPoolExecutor(concurrency, thread_name_prefix="redcap-design") as pool:
        asked_info = pool.submit(client.export_project_info)
        version = pool.submit(client.export_version)
        metadata = pool.submit(client.export_metadata)
        instruments = pool.submit(client.export_instruments)
        info = asked_info.result()
        # What a project has none of, it is not asked for: REDCap answers with an error.
        events = bool(int(info.get("is_longitudinal") or 0))
        repeats = bool(int(info.get("has_repeating_instruments_or_events") or 0))
        lists = {
            "arms": pool.submit(client.export_arms if events else _none),
            "events": pool.submit(client.export_events if events else _none),
            "form_event_mappings": pool.submit(
                client.export_form_event_mappings if events else _none
            ),
            "repeating_instruments_events": pool.submit(
                client.export_repeating_instruments_events if repeats else _none
            ),
        }
        return ProjectAnswers(
            redcap_version=version.result(),
            project_info=info,
            metadata=metadata.result(),
            instruments=instruments.result(),
            **{name: rows.result() for name, rows in lists.items()},
        )


def _none() -> list[dict[str, Any]]:
    return []
