"""The wire: a client for every method of REDCap's API, which believes no bad answer.

It knows HTTP and REDCap's words, and neither a study's design nor files nor Dagster.
"""

from redcap_dagster.api.api_token import check_variable_name
from redcap_dagster.api.attributes import ProjectAttributes
from redcap_dagster.api.budget import (
    DEFAULT_REQUESTS_PER_MINUTE,
    MachineBudget,
    RequestBudget,
    RequestLedger,
)
from redcap_dagster.api.client import FrameExports, RedcapClient, TextExports
from redcap_dagster.api.encoding import count_broken_cells
from redcap_dagster.api.failure import Reason
from redcap_dagster.api.file_transfer import ExportedFile, FileInfo
from redcap_dagster.api.findings import ImportFinding
from redcap_dagster.api.record_writes import ImportedRecords
from redcap_dagster.api.records import RecordOptions
from redcap_dagster.api.retry import RetryPolicy
from redcap_dagster.api.secret import EnvironmentSecret, SecretSource
from redcap_dagster.api.stats import RequestStats
from redcap_dagster.api.study import ProjectXmlOptions

__all__ = [
    "DEFAULT_REQUESTS_PER_MINUTE",
    "EnvironmentSecret",
    "ExportedFile",
    "FileInfo",
    "FrameExports",
    "ImportFinding",
    "ImportedRecords",
    "MachineBudget",
    "ProjectAttributes",
    "ProjectXmlOptions",
    "Reason",
    "RecordOptions",
    "RedcapClient",
    "RequestBudget",
    "RequestLedger",
    "RequestStats",
    "RetryPolicy",
    "SecretSource",
    "TextExports",
    "check_variable_name",
    "count_broken_cells",
]
