"""A study's data-quality rules as asset checks, and what they find as a table."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from example_pipeline.study.planted_mistakes import PLANTED_MISTAKES
from redcap_dagster import build_redcap_assets, record_partitions
from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError
from redcap_dagster.export import read_design
from redcap_dagster.project import DriftPolicy
from redcap_dagster.quality import QualityOptions
from redcap_dagster.tables import current_extract
from tests.orchestration.runs import in_one_run

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

LETTERS = {
    "B": "missing_required_values",
    "C": "invalid_data_type",
    "D": "out_of_range",
    "F": "hidden_fields_with_values",
    "G": "invalid_choices",
    "H": "incorrect_calculations",
    "I": "missing_data_codes",
}
ON_EVERY_INSTRUMENT = {
    "schema",
    "unique_key",
    "missing_values",
    "missing_required_values",
    "invalid_data_type",
    "out_of_range",
    "outliers",
    "hidden_fields_with_values",
    "invalid_choices",
    "incorrect_calculations",
    "missing_data_codes",
    "misplaced_forms",
    "readable_logic",
}


def assets_of(study: "Study", **options: Any) -> dg.AssetsDefinition:
    return build_redcap_assets(
        study.project, out_dir=study.out_dir, quality=QualityOptions(**options)
    )


def checks_by_name(
    result: dg.ExecuteInProcessResult, asset: str
) -> dict[str, dg.AssetCheckEvaluation]:
    return {
        check.check_name: check
        for check in result.get_asset_check_evaluations()
        if check.asset_key.path[-1] == asset
    }


def findings_of(study: "Study", partition: str = "") -> list[dict[str, Any]]:
    return study.table("quality_findings", partition)


def test_every_instrument_has_redcaps_rules_and_fewer_than_fifty_checks(study: "Study") -> None:
    specs = assets_of(study).check_specs
    names: dict[str, set[str]] = {}
    for spec in specs:
        names.setdefault(spec.asset_key.path[-1], set()).add(spec.name)
    for instrument in study.project.instruments_by_name:
        assert names[instrument] >= ON_EVERY_INSTRUMENT
        assert len(names[instrument]) < 50
    assert "instance_gaps" in names["medications"]
    assert "entry_limits" in names["demographics"]
    assert names["records"] == {"complete_extract", "one_data_access_group"}
    assert names["metadata"] == {"data_dictionary_current"}


def test_the_planted_mistakes_are_found_by_their_rules_exactly(study: "Study") -> None:
    result = study.materialize(assets=assets_of(study))
    planted: Counter[tuple[str, str]] = Counter()
    for mistake in PLANTED_MISTAKES:
        planted[LETTERS[mistake.rule], mistake.field] += mistake.count
    found: Counter[tuple[str, str]] = Counter()
    for row in findings_of(study):
        is_forbidden = row["status"] == "Missing data code where @NOMISSING forbids it"
        if row["rule"] in LETTERS.values() and (row["rule"] != LETTERS["I"] or is_forbidden):
            found[row["rule"], row["field"]] += 1
    assert found == planted
    assert {row["rule"] for row in findings_of(study)} == {*LETTERS.values(), "outliers"}
    (calculations,) = (
        check
        for check in result.get_asset_check_evaluations()
        if (check.asset_key.path[-1], check.check_name)
        == ("asthma_control_test", "incorrect_calculations")
    )
    assert not calculations.passed
    assert calculations.metadata["findings"].value == 2
    assert calculations.description == "2 findings: act_total (2)."


def test_severity_follows_the_dictionary_and_counts_add_up(study: "Study") -> None:
    options = {"severities": {"outliers": "error"}, "lists_missing_values": True}
    result = study.materialize(assets=assets_of(study, **options))
    severities = {
        (check.asset_key.path[-1], check.check_name): check.severity.value
        for check in result.get_asset_check_evaluations()
        if not check.passed
    }
    assert severities["demographics", "invalid_data_type"] == "ERROR"  # an identifier
    assert severities["laboratory", "invalid_data_type"] == "WARN"
    assert severities["spirometry", "missing_required_values"] == "ERROR"
    assert severities["spirometry", "out_of_range"] == "WARN"
    assert severities["laboratory", "outliers"] == "ERROR"
    assert severities["adverse_events", "missing_data_codes"] == "ERROR"  # @NOMISSING
    listed = Counter((row["instrument"], row["rule"]) for row in findings_of(study))
    for name in study.project.instruments_by_name:
        for rule, check in checks_by_name(result, name).items():
            if rule not in {"schema", "readable_logic"}:
                assert check.metadata["findings"].value == listed[name, rule]
    assert listed["spirometry", "missing_values"] > 0


def test_excluded_findings_stay_in_the_table_and_do_not_count(
    study: "Study", tmp_path: Path
) -> None:
    first = study.materialize(assets=assets_of(study))
    before = findings_of(study)
    chosen = [row for row in before if row["rule"] == "incorrect_calculations"]
    path = tmp_path / "excluded.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*before[0], "comment"])
        writer.writeheader()
        writer.writerows({**row, "comment": "checked with the site"} for row in chosen)
        writer.writerow({**chosen[0], "field": "gone", "comment": "not in the study any more"})

    with dg.DagsterInstance.ephemeral() as instance:
        result = study.materialize(assets=assets_of(study, exclusions=path), instance=instance)
        logged = [entry.user_message for entry in instance.all_logs(result.run_id)]
    (idle,) = [line for line in logged if line.startswith("Exclusions of quality findings that")]
    assert idle.endswith("no such field in it: 1.")

    assert not checks_by_name(first, "demographics")["incorrect_calculations"].passed
    check = checks_by_name(result, "demographics")["incorrect_calculations"]
    assert (check.passed, check.metadata["findings"].value) == (True, 0)
    assert check.metadata["excluded"].value == 1
    after = findings_of(study)
    assert [row for row in after if row["excluded"]] == [
        {**row, "excluded": True} for row in chosen
    ]
    assert [{**row, "excluded": False} for row in after] == before


def test_custom_rules_are_checks_of_the_findings(study: "Study", tmp_path: Path) -> None:
    path = tmp_path / "DataQualityRules.csv"
    path.write_text(
        "rule_name,rule_logic,real_time_execution\n"
        "\"Randomised, not eligible\",\"[randomised_at] <> '' and [eligible] <> '1'\",n\n"
        "Of age,\"[screening_arm_1][consent_date] <> '' and [event-name] = 'screening_arm_1'\",n\n"
        'No such field,"[weight] > 3",y\n'
        'Unreadable,"[height_cm] ==",n\n'
    )
    result = study.materialize(assets=assets_of(study, custom_rules=path))
    checks = checks_by_name(result, "quality_findings")
    assert list(checks) == sorted(
        ["randomised_not_eligible", "of_age", "no_such_field", "unreadable"]
    )
    assert checks["randomised_not_eligible"].passed
    screened = [row for row in study.table("enrolment") if row["redcap_arm_number"] == 1]
    assert checks["of_age"].metadata["findings"].value == len(screened)
    assert not checks["no_such_field"].passed
    assert "what_was_not_evaluated" not in checks["of_age"].metadata
    (reason,) = checks["no_such_field"].metadata["what_was_not_evaluated"].value.records
    assert "no field weight" in str(reason.data["reason"])
    assert checks["unreadable"].metadata["not_evaluated"].value == 1
    listed = [row for row in findings_of(study) if row["rule"] == "Of age"]
    assert len(listed) == len(screened)
    assert {row["instrument"] for row in listed} == {None}


def test_a_blocking_rule_stops_the_run_after_publication(study: "Study") -> None:
    result = study.materialize(
        assets=assets_of(study, blocking=["hidden_fields_with_values"]), raise_on_error=False
    )
    assert not result.success
    assert len(study.table("spirometry")) > 0


def test_one_instrument_alone_keeps_the_findings_of_the_others(study: "Study") -> None:
    assets = assets_of(study)
    study.materialize(assets=assets)
    before = findings_of(study)
    result = study.materialize(assets=assets, selection=["asthma_control_test"])
    key = [name for name in before[0] if name != "excluded"]
    assert sorted(findings_of(study), key=lambda row: [row[name] or "" for name in key]) == sorted(
        before, key=lambda row: [row[name] or "" for name in key]
    )
    assert checks_by_name(result, "asthma_control_test")["incorrect_calculations"].passed is False


def test_findings_about_whole_records_are_made_anew_where_these_are_judged(
    study: "Study", tmp_path: Path
) -> None:
    path = tmp_path / "rules.yaml"
    rule = "- {{name: Seen, logic: \"[event-name] = 'screening_arm_1' and {more}\"}}\n"
    path.write_text(rule.format(more="1 = 1"))
    assets = assets_of(study, custom_rules=path, rules=["one_data_access_group"])
    study.materialize(assets=assets)
    before = findings_of(study)
    assert {row["rule"] for row in before} == {"Seen"}
    study.materialize(assets=assets, selection=["records", "spirometry"])
    assert findings_of(study) == before
    study.materialize(assets=assets, selection=["spirometry"])  # it judges no whole records
    assert findings_of(study) == before
    path.write_text(rule.format(more="1 = 2"))  # as if what was found were corrected
    study.materialize(assets=assets, selection=["records", "spirometry"])
    assert findings_of(study) == []


def test_logic_that_needs_an_instrument_that_was_not_exported_is_not_evaluated(
    study: "Study",
) -> None:
    result = study.materialize(assets=assets_of(study), selection=["demographics"])
    check = checks_by_name(result, "demographics")["incorrect_calculations"]
    assert not check.passed
    (missed,) = check.metadata["what_was_not_evaluated"].value.records
    assert missed.data["field"] == "age"
    assert "no column consent_date" in str(missed.data["reason"])


def test_findings_of_partitions_are_those_of_the_whole(study: "Study") -> None:
    options = {"rules": sorted({*LETTERS.values(), "one_data_access_group"})}
    study.materialize(assets=assets_of(study, **options))
    whole = sorted(tuple(map(str, row.values())) for row in findings_of(study))
    partitions = record_partitions(2)
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        partitions_def=partitions,
        quality=QualityOptions(**options),
    )
    pieces = []
    for key in partitions.get_partition_keys():
        study.materialize(assets=assets, partition_key=key)
        pieces += [tuple(map(str, row.values())) for row in findings_of(study, key)]
    assert sorted(pieces) == whole


def test_partitions_alone_do_not_say_that_a_value_is_unique_in_the_study(study: "Study") -> None:
    with RedcapClient(study.emulator.url, study.token) as client:
        client.import_project_settings([{"secondary_unique_field": "email"}])
        project = read_design(client)
    partitions = record_partitions(2)
    assets = build_redcap_assets(
        project,
        out_dir=study.out_dir,
        partitions_def=partitions,
        quality=QualityOptions(rules=["secondary_unique_field", "outliers"]),
    )
    instrument = project.fields_by_name["email"].instrument
    keys = partitions.get_partition_keys()
    result = study.materialize(assets=assets, selection=[instrument], tags=in_one_run(keys))
    check = checks_by_name(result, instrument)["secondary_unique_field"]
    assert not check.passed
    assert (check.metadata["findings"].value, check.metadata["not_evaluated"].value) == (0, 1)
    assert checks_by_name(result, instrument)["outliers"].metadata["not_evaluated"].value == 0


def test_without_rules_there_are_no_findings(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, quality=None)
    study.materialize(assets=assets)
    assert "quality_findings" not in current_extract(study.out_dir).tables
    assert {spec.name for spec in assets.check_specs} == {
        "schema",
        "complete_extract",
        "data_dictionary_current",
    }


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [("note", (True, "WARN")), ("warn", (False, "WARN")), ("block", (False, "ERROR"))],
)
def test_a_changed_dictionary_is_named_and_a_complete_extract_passes(
    study: "Study", policy: DriftPolicy, outcome: tuple[bool, str]
) -> None:
    first, *others = study.project.instruments
    older = replace(study.project, instruments=(replace(first, fields=first.fields[:-1]), *others))
    assets = build_redcap_assets(older, out_dir=study.out_dir, drift_policy={"field_added": policy})
    result = study.materialize(
        assets=assets, selection=["metadata", "records"], raise_on_error=False
    )
    check = checks_by_name(result, "metadata")["data_dictionary_current"]
    assert (check.passed, check.severity.value) == outcome
    assert result.success == (policy != "block")
    assert str(check.description).startswith("1 change of the design since the snapshot.")
    assert "`dg utils refresh-defs-state` where a component keeps it" in str(check.description)
    (change,) = check.metadata["what_changed"].value.records
    assert change.data == {
        "change": "field_added",
        "policy": policy,
        "instrument": first.name,
        "field": first.fields[-1].name,
        "event": "",
        "detail": "",
        "meaning": "its table has a new column",
    }
    complete = checks_by_name(result, "records")["complete_extract"]
    assert complete.passed
    assert complete.metadata["records_received"].value == 60


def test_rules_checked_alone_need_records_of_the_same_export(study: "Study") -> None:
    assets = assets_of(study)
    study.materialize(assets=assets)
    study.materialize(assets=assets, selection=["spirometry"])
    with pytest.raises(dg.Failure, match=r"records in .* is not of the same export as spirometry"):
        study.materialize(
            assets=assets,
            selection=dg.AssetSelection.checks(
                dg.AssetCheckKey(dg.AssetKey("spirometry"), "out_of_range")
            ),
        )


def test_a_custom_rule_that_is_gone_from_its_file_is_no_passed_check(
    study: "Study", tmp_path: Path
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("- {name: gone, logic: \"[eligible]=''\"}\n")
    assets = assets_of(study, custom_rules=path)
    path.write_text("[]")
    with pytest.raises(dg.Failure, match="no rule for the check gone any more"):
        study.materialize(assets=assets)


def test_custom_rules_that_would_share_a_check_are_refused(study: "Study", tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text('- {name: A b, logic: "[eligible]=\'\'"}\n- {name: a-B, logic: "1=1"}\n')
    with pytest.raises(ConfigError, match="'A b' and 'a-B' would have one asset check, a_b"):
        assets_of(study, custom_rules=path)


@pytest.mark.parametrize(
    ("rule", "check"),
    [
        ("Out of range", "out_of_range"),
        ("Schema", "schema"),
        ("Complete extract!", "complete_extract"),
        ("data-dictionary current", "data_dictionary_current"),
    ],
)
def test_a_custom_rule_that_would_have_the_check_of_a_built_in_one_is_refused(
    study: "Study", tmp_path: Path, rule: str, check: str
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f"- {{name: '{rule}', logic: \"[eligible]=''\"}}\n")
    message = f"{rule!r} would have the asset check {check}, which is a built-in one. Rename it"
    with pytest.raises(ConfigError, match=message):
        assets_of(study, custom_rules=path)
