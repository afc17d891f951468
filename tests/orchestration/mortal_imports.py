"""Imported once, by the process that mortal ones are forked from: what they import when they run.

Dagster and pandera import most of themselves when they are used first, which takes longer than
what a mortal process does.
"""

import threading
from tempfile import TemporaryDirectory

import dagster as dg
import pandas as pd
import pandera.pandas as pa


@dg.asset
def _nothing() -> None: ...


with TemporaryDirectory() as _folder, dg.DagsterInstance.local_temp(_folder) as _instance:
    dg.materialize(
        [_nothing],
        instance=_instance,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
pa.DataFrameSchema({"name": pa.Column(str)}).validate(pd.DataFrame({"name": ["ada"]}))
# A fork does not take threads along, nor lets go of what they hold.
assert threading.active_count() == 1
