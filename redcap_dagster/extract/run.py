"""The whole extract of a study: design, export, tables, proof, one publication."""

from pathlib import Path

from upath import UPath

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import TableError
from redcap_dagster.export import spool_folder
from redcap_dagster.extract.facts import last_pace
from redcap_dagster.extract.places import refuse_another_project
from redcap_dagster.extract.progress import TellProgress
from redcap_dagster.extract.reading import StudyReading
from redcap_dagster.extract.request import WHOLE_STUDY, ExtractRequest
from redcap_dagster.privacy import tables_that_may_stay
from redcap_dagster.tables import (
    ExtractWriter,
    Location,
    PublishedExtract,
    find_extract,
    find_shelves,
    to_location,
)


def extract_study(
    client: RedcapClient,
    out_dir: str | Path | UPath,
    request: ExtractRequest = WHOLE_STUDY,
    *,
    progress: TellProgress | None = None,
) -> PublishedExtract:
    """Extract a study to Parquet tables with a manifest, and let readers see them in one step.

    Writes one typed table an instrument, `rejected_values`, the tables of the study's design and,
    unless it is left out, `records`. They take the place of what `out_dir` held before, whatever
    that was asked for: what readers see is one extract.

    Args:
        client: Where to ask.
        out_dir: The folder to publish in, made when it is not there; or a place in an object
            store, such as `s3://bucket/asthma`.
        request: What to extract.
        progress: Is told how far it is, when a phase begins and after every answer.

    Raises:
        ApiError: REDCap did not answer, or refused.
        ConfigError: The request names what the study has not.
        DesignError: The study's design contradicts itself.
        ExportError: Not everything came. As with the others, what readers see is unchanged.
        TableError: Tables could not be written, or `out_dir` holds another project's extract, or
            what Dagster publishes.
    """
    shelf = to_location(out_dir)
    reading = StudyReading(client, request, progress)
    project = reading.project
    last = find_extract(shelf)
    refuse_another_project(shelf, last, project, client.api_url)
    # Values as they are in REDCap do not take the place of de-identified ones.
    tables_that_may_stay(shelf, last, None, ())
    _refuse_dagsters_place(shelf, last)
    with reading.open_export(spool_folder(shelf), last_pace(last)) as export:
        while True:
            pieces = reading.pieces(export)  # they are on their way while the tables are laid out
            with ExtractWriter(shelf, project, reading.specs, events=request.events) as writer:
                for name, table in reading.design_tables.items():
                    writer.write_table(name, table)
                for piece in pieces:
                    writer.write(piece)
                reading.begin("changes")  # REDCap was asked when the last answer came
                writer.finish_rows()
                if export.settle():
                    reading.begin("publication")
                    # Nothing of an older extract stays: it may have been asked for something else.
                    extract = writer.publish(reading.facts(export), known_tables=())
                    export.done()
                    return extract


def _refuse_dagsters_place(shelf: Location, last: PublishedExtract | None) -> None:
    """Refuse to take the place of tables that Dagster shows as materialized."""
    is_dagsters = last is not None and "request" not in last.facts
    inside = (find_extract(place) for place in find_shelves(shelf) if place != shelf)
    if is_dagsters or any(item and item.facts.get("partition") for item in inside):
        raise TableError(
            f"Dagster publishes a study in {shelf}, and would go on showing tables that an extract "
            "takes the place of. Extract into another folder."
        )
