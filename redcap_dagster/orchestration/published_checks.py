"""Checks that are selected without their asset: they judge what was published before."""

from collections.abc import Iterator, Sequence

import dagster as dg

from redcap_dagster.errors import TableError
from redcap_dagster.orchestration.check_of_partition import evaluation_of_partition
from redcap_dagster.orchestration.deidentification import refuse_checks_alone
from redcap_dagster.orchestration.step import Step
from redcap_dagster.orchestration.step_checks import StepChecks
from redcap_dagster.tables import Location, current_extract, find_shelves


def check_published(step: Step) -> Iterator[dg.AssetCheckResult | dg.AssetCheckEvaluation]:
    """Judge published tables for the checks of a step that are selected without their asset.

    Yields:
        A result for each check, over all partitions. Where checks have results for each
        partition: those of the run's partitions alone, or of every one that was published, after
        the one for all, where the run has none.

    Raises:
        TableError: Nothing was published that they could judge.
        ConfigError: Published tables are de-identified, and a check needs raw values.
    """
    context = step.context
    wanted = [
        item
        for item in sorted(context.selected_asset_check_keys, key=str)
        if item.asset_key not in context.selected_asset_keys
    ]
    refuse_checks_alone(step.study, wanted)
    if not wanted:
        return
    shelves = find_shelves(step.study.out_dir)
    apart = [item for item in wanted if step.is_checked_by_partition(item.asset_key)]
    in_partitions = context.has_partition_key or context.has_partition_key_range
    together = [item for item in wanted if item not in apart] if in_partitions else wanted
    yield from _check(step, together, shelves)
    keys = context.partition_keys if in_partitions else step.partition_keys()
    for key in keys if apart else ():
        shelf = step.study.shelf(key)
        there = [shelf] if shelf in shelves else []
        checks = apart if in_partitions else _checks_of_shelves(step, apart, there)
        for result in _check(step, checks, there):
            if context.has_partition_key:
                yield result
            else:
                yield evaluation_of_partition(context, result, key)


def _checks_of_shelves(
    step: Step, checks: Sequence[dg.AssetCheckKey], shelves: Sequence[Location]
) -> list[dg.AssetCheckKey]:
    """The checks whose table is on one of the shelves."""
    return [item for item in checks if _shelves_with(step, item.asset_key, shelves)]


def _check(
    step: Step, checks: Sequence[dg.AssetCheckKey], shelves: Sequence[Location]
) -> Iterator[dg.AssetCheckResult]:
    judge = StepChecks(step)
    shelves_of = {item: _shelves_to_judge(step, item.asset_key, shelves) for item in checks}
    for shelf in shelves:
        on_shelf = [item for item, found in shelves_of.items() if shelf in found]
        judge.judge_published(on_shelf, shelf)
    for item, found in shelves_of.items():
        extracts = [current_extract(shelf) for shelf in found]
        yield from judge.results([item], extracts, looks_at_files=True)


def _shelves_to_judge(step: Step, key: dg.AssetKey, shelves: Sequence[Location]) -> list[Location]:
    found = _shelves_with(step, key, shelves)
    if not found:
        raise TableError(
            f"There is no published table {step.study.props[key].name} in {step.study.out_dir} to "
            "check. Materialize it first."
        )
    return found


def _shelves_with(step: Step, key: dg.AssetKey, shelves: Sequence[Location]) -> list[Location]:
    """Those of some shelves that hold an asset's table now.

    Not those of partitions that the study had before it was cut otherwise: their records are in
    others, too.
    """
    table, own = step.study.props[key].name, frozenset(step.shelves_of(key))
    there = [shelf for shelf in shelves if shelf in own]
    return [shelf for shelf in there if table in current_extract(shelf).tables]
