"""`make demo`: the whole example pipeline against our own REDCap, and what came of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from example_pipeline.definitions import OUT_DIR, STUDY_XML, build_definitions


def main() -> int:
    """Run everything; 0 when every asset was materialized."""
    started = time.monotonic()
    prepare_dagster_home(
        Path(os.environ.setdefault("DAGSTER_HOME", str(OUT_DIR.parent / ".dagster_home")))
    )
    say("Starting REDCap (our emulator) with the synthetic asthma cohort …")
    with emulated_redcap(STUDY_XML) as (url, token):
        os.environ |= {"REDCAP_API_URL": url, "REDCAP_API_TOKEN": token}
        say(f"  it listens at {url}")
        say("Materializing the example pipeline through Dagster …")
        job = build_definitions(os.environ).resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.get() as instance:
            result = job.execute_in_process(
                instance=instance,
                raise_on_error=False,
                # The events are in the run's log; a reader of the terminal wants what came of it.
                run_config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
            )
    print_materializations(result)
    print_checks(result)
    if not result.success:
        say("\nThe run failed:")
        for event in result.get_step_failure_events():
            say(f"  {event.step_key}: {event.message}")
        return 1
    say(f"\nDone in {time.monotonic() - started:.0f} s.")
    say(f"  tables    {OUT_DIR / 'asthma' / 'current'}")
    say(f"  analytics {OUT_DIR / 'analytics'}")
    say(f"  report    {OUT_DIR / 'analytics' / 'study_report.html'}")
    say("  Dagster   make ui, then http://127.0.0.1:3000")
    return 0


def prepare_dagster_home(home: Path) -> None:
    """Make the folder that Dagster keeps its runs in; it asks and tells nobody anything."""
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists():
        settings.write_text(
            "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
            # Retries and waits of the REDCap client stand in the logs of runs too.
            "python_logs:\n  managed_python_loggers: [redcap_dagster]\n"
            "  python_log_level: WARNING\n",
            encoding="utf-8",
        )


@contextmanager
def emulated_redcap(project_xml: Path) -> Iterator[tuple[str, str]]:
    """Address and token of a REDCap that serves a project file until the block ends."""
    command = [sys.executable, "-m", "redcap_dagster.emulator", str(project_xml)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise SystemExit("The emulator did not start; it says why above.")
            listening = json.loads(line)
            yield listening["url"], listening["projects"][0]["token"]
        finally:
            process.terminate()


def print_materializations(result: dg.ExecuteInProcessResult) -> None:
    """One line an asset: key and rows."""
    say(f"\n{'asset':<42}{'rows':>8}")
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        rows = materialization.metadata.get("dagster/row_count")
        name = materialization.asset_key.to_user_string()
        say(f"{name:<42}{rows.value if rows is not None else '':>8}")


def print_checks(result: dg.ExecuteInProcessResult) -> None:
    """How many checks passed, and where those that failed found how much: a line a check."""
    checks = result.get_asset_check_evaluations()
    failed = [check for check in checks if not check.passed]
    errors = sum(check.severity == dg.AssetCheckSeverity.ERROR for check in failed)
    warnings = len(failed) - errors
    say(
        f"\nchecks: {len(checks) - len(failed)} passed, "
        f"{warnings} failed with a warning, {errors} with an error"
    )
    tables: dict[str, list[str]] = {}
    for check in failed:
        findings = check.metadata.get("findings")
        count = "" if findings is None else f" {findings.value}"
        tables.setdefault(check.check_name, []).append(f"{check.asset_key.path[-1]}{count}")
    for name, found in tables.items():
        say(f"  {name:<26} {', '.join(found)}")
    if failed:
        say("  (the sample study has planted mistakes, which these checks found; blank fields and")
        say("  outliers are in every study: docs/quality.md says how to leave such checks out)")


def say(text: str) -> None:
    """Print a line at once, so that progress is seen as it happens."""
    print(text, flush=True)  # noqa: T201 - the demo's whole purpose


if __name__ == "__main__":
    raise SystemExit(main())
