"""Real projects: an export in many requests is one flat export, cell for cell and row for row."""

from pathlib import Path

import pytest

from redcap_dagster.export import ExportSettings, StudyExport
from tests.export.conftest import ServeXml, rows_of

PROJECTS = Path(__file__).parents[3] / "shared" / "projects"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PROJECTS.is_dir(), reason="the real projects of ../shared are absent"),
]


@pytest.mark.parametrize("name", sorted({path.parent.name for path in PROJECTS.glob("*/*.xml")}))
def test_many_requests_give_the_rows_of_one_flat_export(name: str, serve_xml: ServeXml) -> None:
    folder = PROJECTS / name
    xml, records = folder / "project.xml", folder / "records.odm.xml"
    study = serve_xml(
        xml if xml.exists() else folder / "project-metadata-only.xml",
        records=records if records.exists() else None,
    )
    whole = study.whole_export()
    for cells in (400_000, 3_000, 300, 20):
        settings = ExportSettings(cells_per_request=cells)
        with StudyExport(study.client, study.project, settings=settings) as export:
            assert rows_of(export) == whole, cells
            assert export.settle()
