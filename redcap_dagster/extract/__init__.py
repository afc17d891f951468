"""The whole extract of a study, without Dagster: design, export, tables, proof, publication."""

from redcap_dagster.extract.copies import (
    CopyFormat,
    PublishedCopy,
    check_can_copy,
    find_copies,
    is_of_extract,
    publish_copy,
)
from redcap_dagster.extract.facts import ExportFacts, last_pace
from redcap_dagster.extract.fences import FENCE_FACT, fence_of, published_fence
from redcap_dagster.extract.places import refuse_another_project
from redcap_dagster.extract.progress import (
    PHASES,
    ExtractState,
    Phase,
    ProgressLines,
    Telling,
    TellProgress,
    ToldAgain,
    describe_state,
)
from redcap_dagster.extract.read import StudyTables, read_study
from redcap_dagster.extract.request import ExtractRequest
from redcap_dagster.extract.rights import (
    Answer,
    Rights,
    ask_or_refused,
    find_rights,
    is_in_group,
    is_refusal,
)
from redcap_dagster.extract.run import extract_study
from redcap_dagster.extract.small_tables import (
    DESIGN_TABLES,
    SMALL_TABLES,
    SmallTableKind,
    as_text,
    design_tables,
    read_small_table,
    text_spec,
    text_table,
)
from redcap_dagster.extract.verify import Verification, verify_study

__all__ = [
    "DESIGN_TABLES",
    "FENCE_FACT",
    "PHASES",
    "SMALL_TABLES",
    "Answer",
    "CopyFormat",
    "ExportFacts",
    "ExtractRequest",
    "ExtractState",
    "Phase",
    "ProgressLines",
    "PublishedCopy",
    "Rights",
    "SmallTableKind",
    "StudyTables",
    "TellProgress",
    "Telling",
    "ToldAgain",
    "Verification",
    "as_text",
    "ask_or_refused",
    "check_can_copy",
    "describe_state",
    "design_tables",
    "extract_study",
    "fence_of",
    "find_copies",
    "find_rights",
    "is_in_group",
    "is_of_extract",
    "is_refusal",
    "last_pace",
    "publish_copy",
    "published_fence",
    "read_small_table",
    "read_study",
    "refuse_another_project",
    "text_spec",
    "text_table",
    "verify_study",
]
