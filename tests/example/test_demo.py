"""What `make demo` says at its end."""

from collections.abc import Iterator

import dagster as dg
import pytest

from example_pipeline.demo import print_checks


def test_warnings_are_told_from_errors(capsys: pytest.CaptureFixture[str]) -> None:
    @dg.multi_asset_check(specs=[dg.AssetCheckSpec(name, asset="visits") for name in "abc"])
    def checks() -> Iterator[dg.AssetCheckResult]:
        yield from [
            dg.AssetCheckResult(passed=True, check_name="a"),
            dg.AssetCheckResult(
                passed=False,
                check_name="b",
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"findings": 3},
            ),
            dg.AssetCheckResult(passed=False, check_name="c", metadata={"findings": 1}),
        ]

    job = dg.Definitions(
        asset_checks=[checks],
        jobs=[dg.define_asset_job("judge", dg.AssetSelection.all_asset_checks())],
    ).resolve_job_def("judge")
    print_checks(job.execute_in_process())
    said = [line for line in capsys.readouterr().out.splitlines() if line]
    assert said[0] == "checks: 1 passed, 1 failed with a warning, 1 with an error"
    assert [line.split() for line in said[1:3]] == [["b", "visits", "3"], ["c", "visits", "1"]]
