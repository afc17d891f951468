"""The files that a study keeps about its rules: custom rules and exclusions."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.errors import ConfigError
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import CustomRule, QualityOptions, plan_quality, read_custom_rules


def test_redcaps_own_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rules.csv"
    path.write_bytes(
        b"\xef\xbb\xbfrule_name,rule_logic,real_time_execution\r\n"
        b"\"A, b\",\"[x] <> ''\nand [y] = '1'\",y\r\n,,\r\n"
    )
    assert read_custom_rules(path) == (CustomRule("A, b", "[x] <> ''\nand [y] = '1'"),)


def test_a_yaml_file_says_more(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(
        "rules:\n"
        "  - {name: a, logic: \"[x]=''\", severity: error, blocking: true}\n"
        "  - {name: b, logic: \"[y]=''\", enabled: false}\n"
    )
    assert read_custom_rules(path) == (CustomRule("a", "[x]=''", "error", is_blocking=True),)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.csv", "name,logic\na,b\n", "lacks the column rule_logic, rule_name"),
        ("r.csv", "rule_name,rule_logic\na,\n", "Line 2 of .* lacks a name or a logic"),
        ("r.csv", "rule_name,rule_logic\na,1\na,1\n", "'a' in .* is there twice"),
        ("r.csv", "rule_name,rule_logic\noutliers,1\n", "'outliers' in .* is the name of a built"),
        ("r.yaml", "rules: 3\n", "must hold a list"),
        ("r.yaml", "rule:\n- {name: a, logic: b}\n", "must hold a list, .* under `rules`"),
        ("r.yaml", "- {name: ' ', logic: b}\n", "Rule 1 of .* must have a name and a logic"),
        ("r.yaml", "- {name: a, logic: ''}\n", "Rule 1 of .* must have a name and a logic"),
        ("r.yaml", "- {name: a}\n", "Rule 1 of .* must have a name and a logic"),
        ("r.yaml", "- {name: a, logic: b, level: 3}\n", "Rule 1 of"),
        ("r.yaml", "- {name: a, logic: b, severity: high}\n", "Rule 1 of"),
        ("r.yaml", "- {name: [a\n", r"is no YAML \(line 2\)"),
    ],
)
def test_a_file_of_another_form_is_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_custom_rules(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no file of custom rules"):
        read_custom_rules(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": ["outlier"]}, "There is no quality rule outlier"),
        ({"severities": {"outliers": "high"}}, "severity of outliers must be"),
        ({"outlier_multiplier": 0}, "outlier_multiplier must be above 0"),
        ({"as_of": datetime(2024, 6, 15, tzinfo=timezone.utc)}, "as_of has a time zone"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        QualityOptions(**options)


@pytest.mark.parametrize("option", [{"blocking": ["gone"]}, {"severities": {"gone": "warn"}}])
def test_a_severity_of_no_rule_is_refused(
    make_project: Callable[..., RedcapProject],
    make_field: Callable[..., dict[str, Any]],
    option: dict[str, Any],
) -> None:
    project = make_project(make_field("record_id"))
    with pytest.raises(ConfigError, match="no quality rule gone to give a severity"):
        plan_quality(project, QualityOptions(**option))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("e.csv", "record_id,instrument,field,rule,comment\n007,visit,x,out_of_range,seen\n"),
        ("e.yaml", "- {record_id: '007', instrument: visit, field: x, rule: out_of_range}\n"),
        ("e.yaml", "- {record_id: 007, instrument: visit, field: x, rule: out_of_range}\n"),
        ("e.yaml", "- {record_id: 007, field: x, instrument: visit, rule: out_of_range, status: }"),
    ],
)
def test_an_excluded_finding_is_marked_and_does_not_count(
    tmp_path: Path,
    make_project: Callable[..., RedcapProject],
    make_field: Callable[..., dict[str, Any]],
    judged: Callable[..., Any],
    name: str,
    text: str,
) -> None:
    path = tmp_path / name
    path.write_text(text)
    project = make_project(
        make_field("record_id"), make_field("x", validation="integer", maximum="3")
    )
    study = [{"record_id": "007", "x": "4"}, {"record_id": "7", "x": "4"}]
    judge, found = judged(project, study, exclusions=path)
    assert [(row["record_id"], row["excluded"]) for row in found] == [("007", True), ("7", False)]
    outcome = judge.outcome("out_of_range", "visit")
    assert (outcome.findings, outcome.excluded, outcome.passed) == (1, 1, False)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("e.csv", "record_id,field\nzqid,x\n", "Exclusion 1 of .* needs record_id and rule"),
        ("e.yaml", "- zqid\n", "Exclusion 1 of .* must be a mapping"),
        ("e.yaml", "zqid: [\n", "is no YAML"),
        ("e.yaml", "exclusion:\n- {record_id: zqid}\n", "must hold a list, .* under `exclusions`"),
        (
            "e.csv",
            "record_id,rule\nzqid,out_of_rnge\n",
            "Exclusion 1 of .* names a rule that there",
        ),
        ("e.csv", "record_id,rule\n,\nzqid,zqid\n", "Exclusion 1 of .* needs record_id and rule"),
        ("e.yaml", "- {record_id: zqid, rule: zqid}\n", "The rules are: unique_key, .*, Too old"),
        (
            "e.yaml",
            "- {record_id: zqid, feild: x, rule: out_of_range}\n",
            "Exclusion 1 of .* has a key that is none of record_id, .*, excluded, comment",
        ),
        ("e.yaml", "- {zqid: record_id, rule: out_of_range}\n", "Exclusion 1 of .* has a key that"),
    ],
)
def test_a_wrong_exclusion_is_refused_without_its_record_id(
    tmp_path: Path,
    make_project: Callable[..., RedcapProject],
    make_field: Callable[..., dict[str, Any]],
    judged: Callable[..., Any],
    name: str,
    text: str,
    message: str,
) -> None:
    path, rules = tmp_path / name, tmp_path / "rules.yaml"
    path.write_text(text)
    rules.write_text('- {name: Too old, logic: "[x] > 40"}\n')
    project = make_project(make_field("record_id"))
    with pytest.raises(ConfigError, match=message) as caught:
        judged(project, [{"record_id": "1"}], exclusions=path, custom_rules=rules)
    assert "zqid" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_blank_field_is_excluded_whether_it_is_listed_or_counted(
    tmp_path: Path,
    make_project: Callable[..., RedcapProject],
    make_field: Callable[..., dict[str, Any]],
    judged: Callable[..., Any],
    is_listed: bool,
) -> None:
    path = tmp_path / "e.yaml"
    path.write_text(
        "- {record_id: '1', instrument: visit, field: x, rule: missing_values, comment: lost}\n"
    )
    project = make_project(make_field("record_id"), make_field("x"))
    study = [{"record_id": "1"}, {"record_id": "2"}]
    judge, found = judged(project, study, exclusions=path, lists_missing_values=is_listed)
    assert [row["excluded"] for row in found] == [True, False] * is_listed
    outcome = judge.outcome("missing_values", "visit")
    assert (outcome.findings, outcome.excluded) == (1, 1)


def test_exclusions_of_what_the_study_does_not_have_are_counted(
    tmp_path: Path,
    make_project: Callable[..., RedcapProject],
    make_field: Callable[..., dict[str, Any]],
    judged: Callable[..., Any],
) -> None:
    path, rules = tmp_path / "e.csv", tmp_path / "rules.yaml"
    rules.write_text('- {name: Too old, logic: "[x] > 40"}\n')
    path.write_text(
        "record_id,instrument,field,rule\n"
        "1,visit,x,outliers\n"
        "1,visit,,unique_key\n"
        "1,visit,visit_complete,missing_values\n"
        "1,,,Too old\n"
        "1,,,one_data_access_group\n"
        "1,visit,gone,outliers\n"
        "1,gone,x,outliers\n"
        "1,,x,outliers\n"
        "1,visit,x,Too old\n"
    )
    project = make_project(make_field("record_id"), make_field("x"))
    judge, _ = judged(project, [{"record_id": "1"}], exclusions=path, custom_rules=rules)
    assert judge.idle_exclusions == 4
