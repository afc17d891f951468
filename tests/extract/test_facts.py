"""What a manifest says of an export."""

import json
from collections import Counter

from redcap_dagster.export import ExportProgress
from redcap_dagster.extract import export_facts


def test_replaced_bytes_are_counted_by_column() -> None:
    progress = ExportProgress(records_asked=2, records_done=2, replaced_by_column=Counter(name=3))
    facts = json.loads(json.dumps(export_facts(progress)))
    assert facts["replaced_by_column"] == {"name": 3}
    assert facts["records_asked"] == facts["records_done"] == 2
