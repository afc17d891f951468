"""A study read to memory holds what its published extract holds."""

from pathlib import Path
from typing import get_args

import pandas as pd
import pytest

from redcap_dagster.emulator.synthetic.shapes import Shape
from redcap_dagster.errors import ConfigError, TableError
from redcap_dagster.extract import PHASES, ExtractRequest, ExtractState, extract_study, read_study
from redcap_dagster.tables import TableOptions, read_published, to_pandas
from tests.export.conftest import Serve


@pytest.mark.parametrize("shape", get_args(Shape))
def test_tables_in_memory_are_those_that_would_be_published(
    shape: Shape, serve: Serve, tmp_path: Path
) -> None:
    study = serve(shape, columns=120 if shape == "wide" else None)
    reasons = TableOptions(missing_reasons=True)
    request = ExtractRequest(cells_per_request=2_000, table_options=reasons)
    read = read_study(study.client, request)
    published = extract_study(study.client, tmp_path, ExtractRequest(table_options=reasons))
    assert read.tables["missing_reasons"].num_rows
    assert set(read.tables) == set(published.tables)
    for name, table in read.tables.items():
        on_disk = read_published(tmp_path, name)
        assert table.schema.equals(on_disk.schema), name
        assert table.to_pylist() == on_disk.to_pylist(), name
        pd.testing.assert_frame_equal(read.frame(name), to_pandas(on_disk))
    same = ("conservation", "design_fingerprint", "rights", "request", "project_id")
    assert [read.facts[name] for name in same] == [published.facts[name] for name in same]
    assert read.facts["completeness"]["is_state_of_one_moment"]


def test_a_part_of_a_study_is_read_alone(serve: Serve) -> None:
    study = serve("longitudinal")
    told: list[ExtractState] = []
    request = ExtractRequest(instruments=("visit",), with_records=False)
    read = read_study(study.client, request, progress=told.append)
    assert {"visit", "rejected_values", "metadata"} <= set(read.tables)
    assert not {"records", "enrolment", "outcome"} & set(read.tables)
    assert told[-1].export.records_done == told[-1].export.records_asked > 0
    with pytest.raises(TableError, match=r"There is no table outcome\. There are: visit"):
        read.frame("outcome")
    with pytest.raises(ConfigError, match="Not instruments of this project: zeal"):
        read_study(study.client, ExtractRequest(instruments=("zeal",)))


def test_what_changes_while_it_is_read_is_read_again(serve: Serve) -> None:
    study = serve("classic")

    def change_once(state: ExtractState) -> None:
        if state.phase == "records" and not changed:
            changed.append(state.export.rows)
            rows = [{"record_id": "new one", "enrolment_complete": "1"}]
            study.client.import_records(rows)

    changed: list[int] = []
    one_by_one = ExtractRequest(cells_per_request=400, concurrency=1)
    read = read_study(study.client, one_by_one, progress=change_once)
    assert "new one" in read.tables["records"]["record_id"].to_pylist()
    assert read.tables["records"].num_rows == len(study.whole_export())
    # Three where it was made when the log had been read, and the list had not.
    assert read.facts["completeness"]["rounds"] in {2, 3}
    assert f"records: {read.tables['records'].num_rows} rows" in repr(read)
    assert "new one" not in repr(read)
    assert "new one" not in str(read.facts)


def test_an_extract_tells_each_phase_when_it_begins(serve: Serve, tmp_path: Path) -> None:
    phases: list[str] = []
    extract_study(serve("classic").client, tmp_path, progress=lambda now: phases.append(now.phase))
    assert list(dict.fromkeys(phases)) == [*PHASES]
