"""A component in a folder of its own, and what tests ask of the definitions it makes."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from redcap_dagster import RedcapProjectComponent

# Dagster 1.13's own: it parses component files with a function that pydantic has deprecated, and
# says that what it attaches to their assets is beta.
DAGSTERS_OWN_WARNINGS = [
    pytest.mark.filterwarnings("ignore:.parse_obj_as. is deprecated"),
    pytest.mark.filterwarnings("ignore:.*is currently in beta"),
    pytest.mark.filterwarnings("ignore:Accessing .*automation_condition.* is deprecated"),
]
ATTRIBUTES = {"api_url_env": "STUDY_URL", "api_token_env": "STUDY_TOKEN", "key_prefix": "lungs"}
Load = Callable[..., tuple[Any, dg.Definitions]]


@contextmanager
def component_sandbox(out_dir: Path) -> Iterator[Load]:
    """Gives what scaffolds a component, refreshes its state, and builds its definitions."""
    with create_defs_folder_sandbox() as sandbox:

        def load(
            *,
            refresh: bool = True,
            component: type[RedcapProjectComponent] = RedcapProjectComponent,
            rules: str = "",
            **attributes: Any,
        ) -> tuple[Any, dg.Definitions]:
            path = sandbox.scaffold_component(
                component_cls=component,
                defs_yaml_contents={
                    "type": f"{component.__module__}.{component.__qualname__}",
                    "attributes": {**ATTRIBUTES, "out_dir": str(out_dir), **attributes},
                },
            )
            (path / "rules.yaml").write_text(rules)
            with sandbox.load_component_and_build_defs(defs_path=path) as (loaded, defs):
                if not refresh:
                    return loaded, defs
                asyncio.run(loaded.refresh_state(sandbox.project_root))
            with sandbox.load_component_and_build_defs(defs_path=path) as result:
                return result  # type: ignore[return-value]

        yield load


def run_assets(defs: dg.Definitions, **options: Any) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
    return job.execute_in_process(run_config=quiet, **options)


def checks_of(defs: dg.Definitions, table: str) -> dict[str, dg.AssetCheckSpec]:
    """Check specs of a table by name."""
    graph = defs.resolve_asset_graph()
    key = dg.AssetKey(["lungs", table])
    specs = [graph.get_check_spec(item) for item in graph.get_check_keys_for_assets({key})]
    return {spec.name: spec for spec in specs}


def keys_of(defs: dg.Definitions, table: str) -> list[str]:
    """Partition keys of a table."""
    spec = defs.resolve_asset_graph().get(dg.AssetKey(["lungs", table]))
    assert spec.partitions_def is not None
    return [*spec.partitions_def.get_partition_keys()]
