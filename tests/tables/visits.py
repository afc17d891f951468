"""The study of the fixture `project`, and an export of it."""

from collections.abc import Callable

import pyarrow as pa

from redcap_dagster.project import DictionaryField, RedcapProject

MakeChunk = Callable[..., pa.Table]
AGE = DictionaryField("age", "visit", "text", validation="integer")
USERS = pa.table({"username": ["ada"]})


def export(project: RedcapProject, make_chunk: MakeChunk, *ages: str) -> pa.Table:
    rows = [{"record_id": f"{n:03}", "name": "x", "age": age} for n, age in enumerate(ages)]
    return make_chunk(project, rows)
