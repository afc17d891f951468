"""A study in YAML: refreshed, loaded with REDCap down, run, overridden."""

import json
import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster.components.testing.test_cases import TestTranslation

from redcap_dagster import RedcapProjectComponent, RedcapTableProps
from tests.orchestration.component_sandbox import DAGSTERS_OWN_WARNINGS, Load, run_assets

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study


pytestmark = DAGSTERS_OWN_WARNINGS


def test_a_study_of_three_lines_runs(load: Load, study: "Study") -> None:
    _, defs = load()
    result = run_assets(defs, asset_selection=[dg.AssetKey(["lungs", "enrolment"])])
    assert result.success
    assert len(study.table("enrolment")) == 60


def test_definitions_load_with_redcap_down(load: Load, study: "Study") -> None:
    load()
    study.emulator.stop()
    _, defs = load(refresh=False)
    assert dg.AssetKey(["lungs", "enrolment"]) in defs.resolve_asset_graph().get_all_asset_keys()


def test_without_state_it_says_loudly_what_to_run(
    load: Load, study: "Study", caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _, defs = load(refresh=False)
    assert defs.resolve_all_asset_specs() == []
    assert "study lungs has NO ASSETS" in caplog.text
    assert "dg utils refresh-defs-state" in caplog.text
    assert study.emulator.requests == []


@pytest.mark.parametrize("prefix", ["lungs", None])
def test_a_token_in_the_place_of_its_variables_name_is_refused_and_not_shown(
    prefix: str | None, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    token = "0123456789ABCDEF0123456789ABCDEF"
    with caplog.at_level(logging.DEBUG), pytest.raises(Exception) as caught:
        load(refresh=False, api_token_env=token, key_prefix=prefix)
    said = "".join(traceback.format_exception(caught.value))
    assert "looks like an API token" in said
    assert token not in said + caplog.text


def test_state_holds_the_design_and_no_person(load: Load, tmp_path: Path) -> None:
    component, _ = load()
    component.write_state_to_path(tmp_path / "state")
    state = json.loads((tmp_path / "state").read_text())
    assert {"format", "instruments"} <= set(state) or "instruments" in json.dumps(state)
    assert "api_user" not in json.dumps(state)


def test_dagster_links_each_asset_to_its_yaml(load: Load) -> None:
    _, defs = load(include=["users"])
    (spec,) = defs.resolve_all_asset_specs()
    (reference,) = spec.metadata["dagster/code_references"].code_references
    assert reference.file_path.endswith("defs.yaml")


class OurComponent(RedcapProjectComponent):
    """Overrides both documented points."""

    def get_asset_spec(self, props: RedcapTableProps) -> dg.AssetSpec:
        return super().get_asset_spec(props).replace_attributes(owners=["team:clinic"])

    def execute(self, context: dg.AssetExecutionContext, redcap: Any) -> Any:
        context.log.info("before the export")
        yield from super().execute(context, redcap)


def test_both_override_points_are_used_and_compose_with_the_yaml(load: Load) -> None:
    _, defs = load(component=OurComponent, translation={"group_name": "clinic"})
    (spec,) = [
        spec
        for spec in defs.resolve_all_asset_specs()
        if spec.key == dg.AssetKey(["lungs", "records"])
    ]
    assert (list(spec.owners), spec.group_name) == (["team:clinic"], "clinic")
    assert run_assets(defs, asset_selection=[dg.AssetKey(["lungs", "users"])]).success


class TestRedcapTranslation(TestTranslation):
    """Dagster's own matrix of what a `translation` can change."""

    def test_translation(
        self, attributes: Any, assertion: Any, key_modifier: Any, load: Load
    ) -> None:
        kinds = ["records", "survey_participants"]
        _, defs = load(translation=attributes, key_prefix=None, include=kinds)
        specs = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
        keys = [dg.AssetKey([kind]) for kind in kinds]
        if key_modifier:
            keys = [key_modifier(key) for key in keys]
        assert all(assertion(specs[key]) for key in keys)
