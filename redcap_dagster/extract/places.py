"""Whose extract lies in a place: another study's is not replaced, nor mixed with."""

from redcap_dagster.errors import TableError
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import Location, PublishedExtract


def refuse_another_project(
    shelf: Location,
    last: PublishedExtract | None,
    project: RedcapProject,
    api_url: str | None = None,
) -> None:
    """Refuse a place that holds another project's extract.

    Args:
        shelf: The place.
        last: What is published there; None for nothing.
        project: The project that is to be published.
        api_url: Address of its server, where another server's project of the same number is to be
            refused too.

    Raises:
        TableError: It holds another project's.
    """
    facts = {} if last is None else last.facts
    own: dict[str, object] = {"project_id": project.info.project_id}
    if api_url is not None:
        own["api_url"] = api_url
    if any(facts.get(name) not in {None, value} for name, value in own.items()):
        raise TableError(
            f"{shelf} holds an extract of project {facts.get('project_id')} of "
            f"{facts.get('api_url', 'a server')}, and this is project {own['project_id']}"
            f"{f' of {api_url}' if api_url else ''}. Extract into another folder. Where it is the "
            "same project and its server has moved, remove what lies there first."
        )
