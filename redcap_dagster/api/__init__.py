"""The wire: a client for every method of REDCap's API, which believes no bad answer.

It knows HTTP and REDCap's words, and neither a study's design nor files nor Dagster.
"""

from redcap_dagster.api.budget import ProcessBudget, RequestBudget, RequestLedger
from redcap_dagster.api.client import FrameExports, RedcapClient, TextExports
from redcap_dagster.api.failure import Reason
from redcap_dagster.api.records import RecordOptions
from redcap_dagster.api.retry import RetryPolicy
from redcap_dagster.api.stats import RequestStats

__all__ = [
    "FrameExports",
    "ProcessBudget",
    "Reason",
    "RecordOptions",
    "RedcapClient",
    "RequestBudget",
    "RequestLedger",
    "RequestStats",
    "RetryPolicy",
    "TextExports",
]
