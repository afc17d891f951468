"""Names what went wrong on the way: errors of `requests` and urllib3 as failures, in a sentence."""

import errno
import socket
import ssl
import traceback
import zlib
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected

import requests
import urllib3.exceptions

from redcap_dagster.api.failure import Failure, Reason

_CONNECTING = "urllib3.connection"

_SENTENCES: dict[Reason, str] = {
    "connection_refused": (
        "nothing listens at this host and port. Is the server running, and is the API URL right?"
    ),
    "connect_timeout": (
        "the server did not take the connection in time. It is down or overloaded, or a firewall "
        "drops what this machine sends."
    ),
    "connection_lost": (
        "the server closed the connection before a whole answer had come. If it stays so, ask for "
        "fewer records at once, or tell the server's administrator."
    ),
    "cut_short": (
        "the answer was cut short: fewer bytes came than were announced. A proxy's time limit or "
        "a crash of the server does this. If it stays so, ask for fewer records at once, or tell "
        "the server's administrator."
    ),
    "name_not_resolved": (
        "the host name of the API URL could not be resolved. Is it spelled right, and can this "
        "machine reach your institution's name server (VPN)?"
    ),
    "proxy": (
        "the proxy that this machine is told to use could not be reached or refused. Are the "
        "environment variables HTTPS_PROXY and NO_PROXY right?"
    ),
    "read_timeout": (
        "the server sent nothing for longer than read_timeout_s. It is busy, or was asked for too "
        "much at once: ask for fewer records, or raise read_timeout_s."
    ),
    "tls": (
        "no trusted TLS connection could be made: the server's certificate is not valid for this "
        "host, or is issued by an authority this machine does not know. Give your institution's "
        "certificates as ca_bundle."
    ),
    "unreadable": (
        "the body could not be decompressed: it was damaged, or its end was lost, on the way. If "
        "it stays so, tell the administrator of the server or of a proxy before it."
    ),
}

_LOST = (
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    # While a body comes in.
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.SSLError,
)
_NO_TLS = (
    "no TLS connection could be made: what listens there speaks no TLS, or no version of it that "
    "this machine takes. Are the port and the https of the API URL right?"
)
_NO_HTTP = (
    "what came is no HTTP answer, or one with more headers than anybody sends. Something else than "
    "a REDCap server listens there: are the host and port of the API URL right?"
)


def failure_of(error: Exception) -> Failure:
    """What to say of a request that could not be sent, or whose answer did not come whole.

    Args:
        error: What `requests`, urllib3 or zlib raised. Nothing of its text is shown, as it may hold
            the request with its token and record ids.
    """
    reason = _reason_of(error)
    if reason == "connection_lost" and any(map(_is_no_http, _causes(error))):
        return Failure("transport", _NO_HTTP)
    if reason == "transport":
        name = type(error).__name__
        return Failure(reason, f"the request could not be sent or its answer not read ({name}).")
    if reason == "tls" and not _is_caused_by(error, ssl.SSLCertVerificationError):
        return Failure(reason, _NO_TLS)
    return Failure(reason, _SENTENCES[reason])


def _reason_of(error: Exception) -> Reason:
    by_class: tuple[tuple[type[Exception], Reason], ...] = (
        (requests.exceptions.ProxyError, "proxy"),
        (requests.exceptions.SSLError, "tls"),
        (requests.exceptions.ConnectTimeout, "connect_timeout"),
        (requests.exceptions.ReadTimeout, "read_timeout"),
        (requests.exceptions.ContentDecodingError, "unreadable"),
        (zlib.error, "unreadable"),
    )
    if isinstance(error, requests.exceptions.SSLError) and not _is_distrust(error):
        return "connection_lost"  # a server or proxy that went away, with TLS or without
    for kind, reason in by_class:
        if isinstance(error, kind):
            return reason
    if _is_caused_by(error, urllib3.exceptions.ReadTimeoutError):
        return "read_timeout"
    if _is_caused_by(error, socket.gaierror):
        return "name_not_resolved"
    if any(_errno(cause) == errno.ECONNREFUSED for cause in _causes(error)):
        return "connection_refused"
    if _is_caused_by(error, urllib3.exceptions.IncompleteRead):
        return "cut_short"
    if isinstance(error, _LOST):
        return "connection_lost"
    return "transport"


def _is_no_http(error: BaseException) -> bool:
    """Whether bytes came that are no HTTP, and not the start of it alone."""
    if isinstance(error, (RemoteDisconnected, IncompleteRead)):
        return False
    if isinstance(error, BadStatusLine):
        return not "HTTP/".startswith(str(error)[:5])
    return isinstance(error, HTTPException)


def _is_distrust(error: requests.exceptions.SSLError) -> bool:
    """Whether TLS failed before the request was sent, and not because the server went away."""
    if _is_caused_by(error, ssl.SSLCertVerificationError):
        return True
    return not _is_caused_by(error, ssl.SSLEOFError) and any(map(_is_connecting, _causes(error)))


def _is_connecting(error: BaseException) -> bool:
    """Whether an error rose out of urllib3's making of a connection."""
    return any(
        frame.f_code.co_name == "connect" and frame.f_globals["__name__"] == _CONNECTING
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _is_caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    return any(isinstance(cause, kind) for cause in _causes(error))


def _causes(error: BaseException) -> list[BaseException]:
    """An error and what it was raised from, by every way requests and urllib3 keep that."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            waiting += [*cause.args, getattr(cause, "reason", None)]
            waiting += [cause.__cause__, cause.__context__]
    return found


def _errno(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def cut_short() -> Failure:
    """What to say of an answer that ends before all that was announced has come."""
    return Failure("cut_short", _SENTENCES["cut_short"])
