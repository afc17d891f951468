"""Checks with a result for each partition: what is found in one is kept for that one."""

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from redcap_dagster import build_redcap_assets, record_partitions
from redcap_dagster.errors import ConfigError
from redcap_dagster.quality import QualityOptions
from tests.orchestration.runs import in_one_run

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

PARTITIONS = record_partitions(4)
KEYS = PARTITIONS.get_partition_keys()
ALL_KEYS = in_one_run(KEYS)
TABLES = ["records", "spirometry", "quality_findings"]
CHECKS = [
    dg.AssetCheckKey(dg.AssetKey("spirometry"), "schema"),
    dg.AssetCheckKey(dg.AssetKey("spirometry"), "out_of_range"),
    dg.AssetCheckKey(dg.AssetKey("records"), "complete_extract"),
]
OUT_OF_RANGE = CHECKS[1]


def assets_of(study: "Study", **quality: object) -> dg.AssetsDefinition:
    with pytest.warns(dg.PreviewWarning, match="partitions_def on an AssetCheckSpec"):
        return build_redcap_assets(
            study.project,
            out_dir=study.out_dir,
            partitions_def=PARTITIONS,
            partitioned_checks=True,
            quality=QualityOptions(rules=["out_of_range"], **quality),  # type: ignore[arg-type]
        )


def kept(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> dict[str | None, str]:
    """What the page shows of a check: its status by partition, unless that is out of date."""
    infos = instance.event_log_storage.get_asset_check_partition_info([check])
    return {
        info.partition_key: info.latest_execution_status.value for info in infos if info.is_current
    }


def found_in(study: "Study", key: str) -> str:
    """What the check `out_of_range` must say, by the findings that the partition has."""
    rules = {
        row["rule"]
        for row in study.table("quality_findings", key)
        if row["instrument"] == "spirometry" and row["status"] != "excluded"
    }
    return "FAILED" if "out_of_range" in rules else "SUCCEEDED"


@pytest.mark.parametrize("runs", ["a run each", "one run"])
def test_each_partition_keeps_its_result(study: "Study", runs: str) -> None:
    assets = assets_of(study)
    with dg.instance_for_test() as instance:
        options = {"assets": assets, "selection": TABLES, "instance": instance}
        if runs == "one run":
            assert study.materialize(tags=ALL_KEYS, **options).success
        else:
            for key in KEYS:
                assert study.materialize(partition_key=key, **options).success
        expected = {key: found_in(study, key) for key in KEYS}
        assert set(expected.values()) == {"FAILED", "SUCCEEDED"}
        assert kept(instance, OUT_OF_RANGE) == expected
        for check in CHECKS:
            assert set(kept(instance, check)) == set(KEYS)


def test_a_blocking_check_of_one_partition_fails_a_run_of_several(study: "Study") -> None:
    assets = assets_of(study, blocking=["out_of_range"], severities={"out_of_range": "error"})
    result = study.materialize(assets=assets, selection=TABLES, tags=ALL_KEYS, raise_on_error=False)
    assert not result.success
    assert {found_in(study, key) for key in KEYS} == {"FAILED", "SUCCEEDED"}


def test_checks_alone_judge_the_partitions_of_their_run(study: "Study") -> None:
    assets = assets_of(study)
    alone = dg.AssetSelection.checks(*CHECKS)
    for key in KEYS[:3]:
        study.materialize(assets=assets, selection=TABLES, partition_key=key)

    def results(**options: object) -> dict[str | None, tuple[bool, object]]:
        run = study.materialize(assets=assets, selection=alone, **options)
        found = [
            item
            for item in run.get_asset_check_evaluations()
            if item.asset_check_key == OUT_OF_RANGE
        ]
        return {item.partition: (item.passed, item.metadata["findings"].value) for item in found}

    study.emulator.requests.clear()
    one = {key: results(tags={"dagster/partition": key})[key] for key in KEYS[:3]}
    assert {key: passed for key, (passed, _) in one.items()} == {
        key: found_in(study, key) == "SUCCEEDED" for key in KEYS[:3]
    }
    several = {**ALL_KEYS, "dagster/asset_partition_range_end": KEYS[1]}
    assert results(tags=several) == {key: one[key] for key in KEYS[:2]}
    # A run without a partition judges what is there, together and apart.
    assert results() == {
        None: (all(passed for passed, _ in one.values()), sum(n for _, n in one.values())),
        **one,
    }
    assert study.asked("record") == 0
    with pytest.raises(dg.Failure, match="no published table"):
        results(tags={"dagster/partition": KEYS[3]})


def test_they_need_partitions(study: "Study") -> None:
    with pytest.raises(ConfigError, match="partitioned_checks needs partitions_def"):
        build_redcap_assets(study.project, partitioned_checks=True)
