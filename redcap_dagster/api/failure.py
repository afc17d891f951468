"""What went wrong with one request, as a plain value.

A failure is judged, retried and counted as a value, and becomes an exception in one place only.
So no exception of a library, whose request holds the API token and the record ids asked for, is
ever chained to one of ours, and no frame of a traceback holds them in a local variable.
"""

from dataclasses import dataclass, field
from typing import Literal

from redcap_dagster.api.findings import ImportFinding
from redcap_dagster.errors import (
    AddressBannedError,
    AnswerError,
    ApiError,
    ApiTokenError,
    ImportRejectedError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    TransportError,
)

Reason = Literal[
    # TransportError
    "connection_refused",
    "connect_timeout",
    "connection_lost",
    "cut_short",
    "name_not_resolved",
    "proxy",
    "read_timeout",
    "redirected",
    "stopped",
    "tls",
    "transport",
    # ServerError
    "database_down",
    "out_of_memory",
    "page_instead_of_data",
    "php_failure",
    "server_error",
    # RateLimitedError, AddressBannedError, ApiTokenError
    "too_many_requests",
    "address_banned",
    "api_token",
    # RequestRejectedError
    "import_rejected",
    "no_api_at_url",
    "not_permitted",
    "rejected",
    # AnswerError
    "column_missing",
    "ends_inside_a_cell",
    "empty",
    "last_line_cut",
    "not_as_asked",
    "record_ids_hashed",
    "record_missing",
    "record_not_asked",
    "row_twice",
    "unreadable",
]
"""Every `ApiError.reason` there is."""

_KINDS: dict[Reason, type[ApiError]] = {
    "connection_refused": TransportError,
    "connect_timeout": TransportError,
    "connection_lost": TransportError,
    "cut_short": TransportError,
    "name_not_resolved": TransportError,
    "proxy": TransportError,
    "read_timeout": TransportError,
    "redirected": TransportError,
    "stopped": TransportError,
    "tls": TransportError,
    "transport": TransportError,
    "database_down": ServerError,
    "out_of_memory": ServerError,
    "page_instead_of_data": ServerError,
    "php_failure": ServerError,
    "server_error": ServerError,
    "too_many_requests": RateLimitedError,
    "address_banned": AddressBannedError,
    "api_token": ApiTokenError,
    "import_rejected": ImportRejectedError,
    "no_api_at_url": RequestRejectedError,
    "not_permitted": RequestRejectedError,
    "rejected": RequestRejectedError,
    "column_missing": AnswerError,
    "ends_inside_a_cell": AnswerError,
    "empty": AnswerError,
    "last_line_cut": AnswerError,
    "not_as_asked": AnswerError,
    "record_ids_hashed": AnswerError,
    "record_missing": AnswerError,
    "record_not_asked": AnswerError,
    "row_twice": AnswerError,
    "unreadable": AnswerError,
}

# Sending the same again cannot help: a certificate, an address that points elsewhere and the rights
# of a user stay.
_FINAL: frozenset[Reason] = frozenset({"tls", "redirected", "record_ids_hashed"})

# REDCap certainly did nothing: it was not reached, or a server before it said no. A 503 is not
# among them, as Apache also sends it when PHP dies half way.
_NOTHING_DONE: frozenset[Reason] = frozenset(
    {
        "connection_refused",
        "connect_timeout",
        "name_not_resolved",
        "redirected",
        "stopped",
        "tls",  # of the connection; what breaks later is `connection_lost`
        "too_many_requests",
    }
)
_LOOK_FIRST = (
    " Whether REDCap has carried it out could not be found out: look before sending it again."
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed request.

    Attributes:
        reason: What went wrong; decides the error class.
        sentence: What happened, why it can happen, what to do. Never a value, id or token.
        status: HTTP status, or None when no answer came.
        retry_after_s: Seconds the server asked to wait, or None.
        server_message: REDCap's own text, which can hold values and ids; "" when there is none.
        findings: What an import was refused for, without values.
    """

    reason: Reason
    sentence: str
    status: int | None = None
    retry_after_s: float | None = None
    server_message: str = field(default="", repr=False)
    findings: tuple[ImportFinding, ...] = ()

    @property
    def kind(self) -> type[ApiError]:
        """The error class this becomes."""
        return _KINDS[self.reason]

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed when sent again."""
        return self.kind.retryable and self.reason not in _FINAL

    @property
    def nothing_done(self) -> bool:
        """Whether REDCap has certainly not begun to carry out the request."""
        return self.reason in _NOTHING_DONE or not self.kind.retryable

    def to_error(self, content: str, attempts: int, *, is_write: bool = False) -> ApiError:
        """The exception to raise after the last attempt.

        Args:
            content: REDCap's name of the method.
            attempts: How many times the request was sent.
            is_write: Whether the request changes something.
        """
        in_doubt = is_write and not self.nothing_done
        tried = f" Sent {attempts} times." if attempts > 1 else ""
        message = f"REDCap {content}: {self.sentence}{tried}{_LOOK_FIRST if in_doubt else ''}"
        if self.kind is ImportRejectedError:
            return ImportRejectedError(
                message,
                content=content,
                status=self.status,
                reason=self.reason,
                attempts=attempts,
                server_message=self.server_message,
                findings=self.findings,
            )
        if self.kind is RequestRejectedError:
            return RequestRejectedError(
                message,
                content=content,
                status=self.status,
                reason=self.reason,
                attempts=attempts,
                server_message=self.server_message,
            )
        return self.kind(
            message,
            content=content,
            status=self.status,
            reason=self.reason,
            retryable=self.retryable and not in_doubt,
            attempts=attempts,
            retry_after_s=self.retry_after_s,
        )
