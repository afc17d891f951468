"""What goes wrong ends in one clear sentence, and readers keep what they had."""

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from redcap_dagster import (
    DagsterRedcapTranslator,
    RedcapProject,
    RedcapResource,
    build_redcap_assets,
    build_redcap_change_sensor,
    record_partitions,
)
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import ProjectFileError, RedcapEmulator
from redcap_dagster.errors import ConfigError
from redcap_dagster.export import read_design
from redcap_dagster.quality import QualityOptions
from redcap_dagster.tables import current_extract, has_extract, read_published

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.orchestration.conftest import Study

WRONG_TOKEN = "F" * 32
EMPTY_STUDY = """<?xml version="1.0" encoding="UTF-8" ?>
<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:redcap="https://projectredcap.org"
 FileType="Snapshot" SourceSystem="REDCap" SourceSystemVersion="14.7.3">
<Study OID="Project.Empty"><GlobalVariables><StudyName>Empty</StudyName></GlobalVariables>
<MetaDataVersion OID="Metadata.Empty" Name="Empty" redcap:RecordIdField="record_id">
<FormDef OID="Form.visit" Name="Visit" Repeating="No" redcap:FormName="visit">
<ItemGroupRef ItemGroupOID="visit.record_id" Mandatory="No"/></FormDef>
<ItemGroupDef OID="visit.record_id" Name="Visit" Repeating="No">
<ItemRef ItemOID="record_id" Mandatory="No" redcap:Variable="record_id"/>
<ItemRef ItemOID="visit_complete" Mandatory="No" redcap:Variable="visit_complete"/>
</ItemGroupDef>
<ItemDef OID="record_id" Name="record_id" DataType="text" Length="999"
 redcap:Variable="record_id" redcap:FieldType="text">
<Question><TranslatedText>Record ID</TranslatedText></Question></ItemDef>
<ItemDef OID="visit_complete" Name="visit_complete" DataType="text" Length="1"
 redcap:Variable="visit_complete" redcap:FieldType="select" redcap:SectionHeader="Form Status">
<Question><TranslatedText>Complete?</TranslatedText></Question></ItemDef>
</MetaDataVersion></Study></ODM>
"""


def failure_of(study: "Study", **options: object) -> dg.Failure:
    """Materialize, and give the failure that ended it."""
    with pytest.raises(dg.Failure) as caught:
        study.materialize(**options)  # type: ignore[arg-type]
    assert not has_extract(study.out_dir)
    assert list(study.out_dir.glob("**/*.parquet")) == []
    return caught.value


def test_no_server(study: "Study") -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/api/"
    resource = RedcapResource(api_url=url, api_token=dg.EnvVar("REDCAP_API_TOKEN"), retries=0)
    failure = failure_of(study, resource=resource)
    assert failure.allow_retries
    assert "nothing listens at this host and port" in str(failure.description)
    assert study.token not in str(failure.description)


def test_wrong_token(study: "Study", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDCAP_API_TOKEN", WRONG_TOKEN)
    failure = failure_of(study)
    assert not failure.allow_retries
    assert "this API token may not use the API" in str(failure.description)
    assert WRONG_TOKEN not in str(failure.description)


def test_missing_environment_variable(study: "Study", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDCAP_API_TOKEN")
    with pytest.raises(dg.DagsterInvalidConfigError, match='"REDCAP_API_TOKEN" which is not set'):
        study.materialize()


def test_a_token_that_cannot_be_one(study: "Study", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDCAP_API_TOKEN", "not-a-token")
    failure = failure_of(study)
    assert not failure.allow_retries
    assert "32 hexadecimal" in str(failure.description)
    assert "not-a-token" not in str(failure.description)


def test_a_url_without_api(study: "Study") -> None:
    url = study.emulator.url.removesuffix("api/")
    resource = RedcapResource(api_url=url, api_token=dg.EnvVar("REDCAP_API_TOKEN"))
    failure = failure_of(study, resource=resource)
    assert f"{url}api/" in str(failure.description)


def test_an_option_that_does_not_exist_is_refused(study: "Study") -> None:
    with pytest.raises(ValueError, match="verify_ssl"):
        study.resource(verify_ssl=False)


def test_a_snapshot_of_another_project(study: "Study", tmp_path: Path) -> None:
    with RedcapEmulator() as emulator:
        emulator.add_project(EMPTY_STUDY)
        token = emulator.add_project(EMPTY_STUDY.replace("Empty", "Other"))
        with RedcapClient(emulator.url, token) as client:
            read_design(client).snapshot(tmp_path / "other.json")
    other = build_redcap_assets(
        RedcapProject.from_snapshot(tmp_path / "other.json"), out_dir=study.out_dir
    )
    failure = failure_of(study, assets=other)
    assert "another project than the API token opens" in str(failure.description)
    assert "redcap-dagster snapshot" in str(failure.description)


def test_a_project_with_no_records_gives_empty_tables_with_their_columns(
    serve: "Callable[[str], Study]",
) -> None:
    study = serve(EMPTY_STUDY)
    assert study.materialize().success
    assert study.table("records") == study.table("visit") == []
    assert read_published(study.out_dir, "visit").column_names == [
        "record_id",
        "redcap_data_access_group",
        "visit_complete",
    ]


def test_an_instrument_that_is_gone_since_the_snapshot_is_an_empty_table(
    serve: "Callable[..., Study]",
) -> None:
    two_forms = EMPTY_STUDY.replace(
        '<ItemGroupDef OID="visit.record_id"',
        '<FormDef OID="Form.gone" Name="Gone" Repeating="No" redcap:FormName="gone">'
        '<ItemGroupRef ItemGroupOID="gone.note" Mandatory="No"/></FormDef>'
        '<ItemGroupDef OID="gone.note" Name="Gone" Repeating="No">'
        '<ItemRef ItemOID="note" Mandatory="No" redcap:Variable="note"/></ItemGroupDef>'
        '<ItemGroupDef OID="visit.record_id"',
    ).replace(
        '<ItemDef OID="visit_complete"',
        '<ItemDef OID="note" Name="note" DataType="text" Length="9"'
        ' redcap:Variable="note" redcap:FieldType="text">'
        "<Question><TranslatedText>Note</TranslatedText></Question></ItemDef>"
        '<ItemDef OID="visit_complete"',
    )
    before = serve(two_forms)
    assets = build_redcap_assets(before.project, out_dir=before.out_dir)
    after = serve(EMPTY_STUDY)
    result = after.materialize(assets=assets)
    assert result.success
    assert after.table("gone") == []
    assert "note" in read_published(after.out_dir, "gone").column_names
    failed = [
        check.check_name for check in result.get_asset_check_evaluations() if not check.passed
    ]
    assert failed == ["data_dictionary_current"]


def test_a_truncated_project_file_is_one_sentence(study_xml: Path) -> None:
    content = study_xml.read_bytes()
    with (
        RedcapEmulator() as emulator,
        pytest.raises(ProjectFileError, match=r"truncated|cut|ends"),
    ):
        emulator.add_project(content[: len(content) // 2])


def test_what_fails_leaves_the_last_complete_extract(
    study: "Study", monkeypatch: pytest.MonkeyPatch
) -> None:
    study.materialize()
    before = study.table("enrolment")
    monkeypatch.setenv("REDCAP_API_TOKEN", WRONG_TOKEN)
    with pytest.raises(dg.Failure):
        study.materialize()
    assert study.table("enrolment") == before


def test_a_folder_that_holds_another_study_is_left_alone(
    study: "Study", study_xml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = build_redcap_assets(study.project, out_dir=study.out_dir, include=["enrolment"])
    study.materialize(assets=own)
    before = current_extract(study.out_dir).extract_id
    token = study.emulator.add_project(study_xml)
    with RedcapClient(study.emulator.url, token) as client:
        copy = read_design(client)
    assert copy.info.project_id != study.project.info.project_id
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    for options in ({}, {"partitions_def": record_partitions(2)}):
        others = build_redcap_assets(
            copy, out_dir=study.out_dir, include=["spirometry"], name="other", **options
        )
        key = "bucket-0-of-2" if options else None
        with pytest.raises(dg.Failure, match=r"holds an extract of project \d+ of http"):
            study.materialize(assets=others, partition_key=key)
    assert current_extract(study.out_dir).extract_id == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": {}}, "`quality` must be QualityOptions or None, not dict"),
        ({"table_options": {}}, "`table_options` must be TableOptions, not dict"),
        (
            {"translator": DagsterRedcapTranslator},
            "`translator` must be DagsterRedcapTranslator or None, not type",
        ),
        (
            {"deidentification": "strict"},
            "`deidentification` must be DeidentificationOptions or None, not str",
        ),
        ({"quality": QualityOptions(blocking=["outlier"])}, "There is no quality rule outlier"),
        ({"partitions_def": "event"}, "`partitions_def` must be partitions, as record_partitions"),
        (
            {"partitions_def": dg.StaticPartitionsDefinition(["event-gone_arm_1"])},
            "The study has no event or arm for the partitions event-gone_arm_1",
        ),
        ({"include": "records"}, "`include` is one text. Give a list."),
        ({"reports": "12"}, "`reports` is one text. Give a list."),
        (
            {"audit_log_partitions": record_partitions(3)},
            "`audit_log_partitions` must be DailyPartitionsDefinition or None",
        ),
    ],
)
def test_an_option_of_another_type_is_named_when_the_assets_are_made(
    study: "Study", options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_redcap_assets(study.project, **options)


def test_a_path_is_no_project_and_a_project_no_assets(study: "Study") -> None:
    with pytest.raises(ConfigError, match="takes the number of buckets"):
        record_partitions("16")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"RedcapProject.from_snapshot\(path\)"):
        build_redcap_assets("asthma.snapshot.json")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="`assets` must be what redcap_assets"):
        build_redcap_change_sensor(study.project)  # type: ignore[arg-type]
