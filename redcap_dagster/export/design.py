"""Reads a study's design from REDCap: eight small requests, no data of participants."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from redcap_dagster.api import RedcapClient
from redcap_dagster.project import ProjectAnswers, RedcapProject, parse_project


def read_design(client: RedcapClient, *, concurrency: int = 4) -> RedcapProject:
    """The design of the client's project as it is on the server now.

    Args:
        client: Where to ask.
        concurrency: Requests side by side.

    Raises:
        ApiError: REDCap did not answer, or refused.
        DesignError: What it answered contradicts itself.
    """
    return parse_project(read_answers(client, concurrency=concurrency))


def read_answers(client: RedcapClient, *, concurrency: int = 4) -> ProjectAnswers:
    """What REDCap answers about the client's project, to be parsed by `parse_project`.

    Args:
        client: Where to ask.
        concurrency: Requests side by side.

    Raises:
        ApiError: REDCap did not answer, or refused.
    """
    # First and alone: where REDCap cannot be reached, nothing else is asked and waited for.
    info = client.export_project_info()
    has_events = bool(int(info.get("is_longitudinal") or 0))
    has_repeats = bool(int(info.get("has_repeating_instruments_or_events") or 0))
    # What a project has none of, it is not asked for: REDCap answers with an error.
    asks: dict[str, Any] = {
        "redcap_version": client.export_version,
        "metadata": client.export_metadata,
        "instruments": client.export_instruments,
        "arms": client.export_arms if has_events else list,
        "events": client.export_events if has_events else list,
        "form_event_mappings": client.export_form_event_mappings if has_events else list,
        "repeating_instruments_events": (
            client.export_repeating_instruments_events if has_repeats else list
        ),
    }
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="redcap-design")
    try:
        asked = {name: pool.submit(ask) for name, ask in asks.items()}
        answers = {name: future.result() for name, future in asked.items()}
    finally:
        pool.shutdown(cancel_futures=True)
    return ProjectAnswers(project_info=info, **answers)
