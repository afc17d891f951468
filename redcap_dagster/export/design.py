"""Reads a study's design from REDCap: eight small requests, no data of participants."""

from concurrent.futures import ThreadPoolExecutor

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
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="redcap-design")
    try:
        asked_info = pool.submit(client.export_project_info)
        asked_version = pool.submit(client.export_version)
        asked = {
            "metadata": pool.submit(client.export_metadata),
            "instruments": pool.submit(client.export_instruments),
        }
        info = asked_info.result()
        # What a project has none of, it is not asked for: REDCap answers with an error.
        if int(info.get("is_longitudinal") or 0):
            asked["arms"] = pool.submit(client.export_arms)
            asked["events"] = pool.submit(client.export_events)
            asked["form_event_mappings"] = pool.submit(client.export_form_event_mappings)
        if int(info.get("has_repeating_instruments_or_events") or 0):
            repeats = pool.submit(client.export_repeating_instruments_events)
            asked["repeating_instruments_events"] = repeats
        lists = {name: future.result() for name, future in asked.items()}
        return ProjectAnswers(asked_version.result(), info, **lists)
    finally:
        pool.shutdown(cancel_futures=True)
