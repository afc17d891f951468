"""One POST: its body streams to where it belongs, and whatever goes wrong comes back as a value."""

import errno
import re
import socket
import ssl
import traceback
import zlib
from collections.abc import Iterable, Iterator
from email.utils import formatdate
from functools import lru_cache
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote_plus

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from redcap_dagster.api.address import is_loopback
from redcap_dagster.api.api_token import ApiToken
from redcap_dagster.api.body import HEAD_BYTES, REFUSAL_BYTES, Answer, BodyWatch
from redcap_dagster.api.call import Call
from redcap_dagster.api.failure import Failure, Reason
from redcap_dagster.api.forks import renew_after_fork
from redcap_dagster.errors import ConfigError

_OK = 200
_REFUSED = {400, 406}
_USER_AGENT = f"redcap-dagster/{version('redcap-dagster')}"
_FORM_TYPE = "application/x-www-form-urlencoded"
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_LENGTH = re.compile(r"[0-9]{1,18}")
_CONNECTING = "urllib3.connection"
_PIECE_BYTES = 256 * 1024
_POOLED_CONNECTIONS = 32
_LONGEST_TIMEOUT_S = 24 * 60 * 60
# More than servers and proxies hold back to count it.
_BUFFERED_BYTES = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_MEMBER = b"\x1f\x8b"

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


class Transport:
    """Sends POSTs to one URL over pooled connections. Safe to use from several threads.

    A forked process opens connections of its own.

    Args:
        url: Checked URL of the API.
        verify: False, True, or the path of a bundle of certificates.
        connect_timeout_s: Seconds to wait for a connection.
        read_timeout_s: Longest silence of the server, in seconds.
    """

    def __init__(
        self, url: str, *, verify: bool | str, connect_timeout_s: float, read_timeout_s: float
    ) -> None:
        self._url = url
        self._verify = verify
        self._timeout = (connect_timeout_s, read_timeout_s)
        self._inherited: list[requests.Session] = []
        self._session = _open_session(url)
        renew_after_fork(self)

    def renew(self) -> None:
        """Leave the connections to the process that opened them."""
        # Kept, as a session that is dropped closes its sockets, which the other process still uses.
        self._inherited.append(self._session)
        self._session = _open_session(self._url)

    def post(self, call: Call, api_token: ApiToken, sink: BinaryIO) -> Answer | Failure:
        """Send one request; write the body of a 200 to `sink` as it comes.

        A body with another status is not written; its start is in the answer, as long as the judge
        needs it.

        Args:
            call: What to ask.
            api_token: Revealed in the body of the request, and in no local variable of ours.
            sink: Takes what came, also when the answer is then cut short: the caller undoes it.

        Returns:
            The answer, whole as HTTP tells it, or why there is none. Never raises what `requests`
            raises, as that holds the request with its token and record ids.
        """
        try:
            with self._session.post(
                self._url,
                **_body(call, api_token),
                stream=True,
                timeout=self._timeout,
                allow_redirects=False,
                verify=self._verify,
            ) as response:
                return _receive(response, sink, call)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            return _failure_of(error)
        except zlib.error:
            return Failure("unreadable", _SENTENCES["unreadable"])

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()


def parse_verify(*, verify_tls: bool, ca_bundle: str | Path | None) -> bool | str:
    """What `requests` takes as `verify`.

    Raises:
        ConfigError: A bundle that is blank, no file or without certificates, or one that would not
            be used.
    """
    if ca_bundle is None:
        return verify_tls
    if not str(ca_bundle).strip():  # `requests` would check no certificate at all
        raise ConfigError("`ca_bundle` is blank. Leave it out to trust the usual authorities.")
    if not verify_tls:
        raise ConfigError("`ca_bundle` is given but `verify_tls` is off. Leave one of them out.")
    if not Path(ca_bundle).exists():
        raise ConfigError(f"The ca_bundle {ca_bundle} does not exist where this runs.")
    if not _holds_certificates(Path(ca_bundle)):
        raise ConfigError(
            f"The ca_bundle {ca_bundle} cannot be read, or holds no certificates as text, which "
            "begin with -----BEGIN CERTIFICATE-----. Of a binary one (.cer, .der) `openssl x509 "
            "-inform der -in FILE -out FILE.pem` makes text."
        )
    return str(ca_bundle)


def parse_timeout(option: str, seconds: float) -> float:
    """Seconds that sockets can wait for.

    Raises:
        ConfigError: None, or more than a day: libraries would refuse that in their own way, at the
            first request and with its token in their frames.
    """
    if isinstance(seconds, Real) and 0 < seconds <= _LONGEST_TIMEOUT_S:
        return float(seconds)
    raise ConfigError(f"`{option}` is a number of seconds: above 0, at most {_LONGEST_TIMEOUT_S}.")


def _holds_certificates(bundle: Path) -> bool:
    if bundle.is_dir():
        return True
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(bundle)
    except OSError:  # what OpenSSL says of the content is one of them
        return False
    return True


class _Session(requests.Session):
    """Follows no redirect and does not look where one points: that is read by the judge."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - requests' name
        return None


def _open_session(url: str) -> requests.Session:
    session = _Session()
    session.headers["User-Agent"] = _USER_AGENT
    # And nothing else, as its end tells whether all came.
    session.headers["Accept-Encoding"] = "gzip"
    # A REDCap session cookie would make the server answer parallel requests one after another.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # Without an `auth`, requests would send the password that ~/.netrc has for the host.
    session.auth = _no_auth
    # What goes to this machine must not go through a proxy, least of all in plain http.
    session.trust_env = not is_loopback(url)
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_POOLED_CONNECTIONS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _body(call: Call, api_token: ApiToken) -> dict[str, Any]:
    """What `requests` is told to send."""
    fields = call.form_fields(api_token.reveal())
    if call.upload is None:
        return {"data": encode_form(fields), "headers": {"Content-Type": _FORM_TYPE}}
    upload = (call.upload.name, call.upload.content, call.upload.content_type)
    return {"data": fields, "files": {"file": upload}}


def encode_form(fields: Iterable[tuple[str, str]]) -> str:
    """What `urllib.parse.urlencode` makes, for thousands of record ids in a tenth of its time.

    Examples:
        >>> encode_form([("content", "record"), ("records[0]", "1"), ("records[1]", "A & 7")])
        'content=record&records%5B0%5D=1&records%5B1%5D=A+%26+7'
    """
    return "&".join(
        f"{_quote_name(name)}={value if _NEEDS_NO_QUOTES(value) else quote_plus(value)}"
        for name, value in fields
    )


@lru_cache(maxsize=8192)
def _quote_name(name: str) -> str:
    return quote_plus(name)


def _receive(response: requests.Response, sink: BinaryIO, call: Call) -> Answer | Failure:
    if response.status_code < _OK:
        # The answer proper is still to come, and would be taken for that of the next request.
        response.close()
        return Answer(response.status_code)
    is_file = call.wire_format == "file"
    head_bytes = _head_bytes(response.status_code, call)
    watch = BodyWatch(
        is_file=is_file,
        counts_quotes=not is_file and _may_be_cut(response),
        head_bytes=head_bytes,
    )
    received = 0
    for piece in _pieces(response):
        received += len(piece)
        kept = watch.feed(piece)
        if response.status_code == _OK:
            sink.write(kept)
        elif received >= head_bytes:
            break
    rest = watch.finish()
    if response.status_code == _OK:
        sink.write(rest)
        if _is_cut_short(response):
            return Failure("cut_short", _SENTENCES["cut_short"])
    headers = {name.lower(): value for name, value in response.headers.items()}
    headers.setdefault("date", formatdate(usegmt=True))
    return watch.answer(response.status_code, headers)


def _head_bytes(status: int, call: Call) -> int:
    """How much of a body is kept: an import's refusal names every value that is wrong."""
    is_refusal = call.is_write and status in _REFUSED
    return REFUSAL_BYTES if is_refusal else HEAD_BYTES


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body in pieces big enough that handling them costs nothing beside the bytes.

    A body in chunks comes in theirs, which are a few kilobytes.
    """
    held: list[bytes] = []
    size = 0
    is_gzip = response.headers.get("Content-Encoding", "").lower() in {"gzip", "x-gzip"}
    pieces = (
        _unpacked(response.raw.stream(_PIECE_BYTES, decode_content=False))
        if is_gzip
        else response.iter_content(_PIECE_BYTES)
    )
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(held) if len(held) > 1 else piece
            held, size = [], 0
    yield b"".join(held)


def _unpacked(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress a body; no bytes stay none, and what stands behind its end is passed over.

    urllib3 would take a body that ends early for whole.

    Raises:
        zlib.error: It is damaged, or ends early.
    """
    unpacker = zlib.decompressobj(_GZIP)
    rest, is_whole = b"", True
    for piece in packed:
        rest += piece
        while rest:
            if unpacker.eof:
                if len(rest) < len(_MEMBER):
                    break
                if not rest.startswith(_MEMBER):
                    rest = b""
                    break
                unpacker = zlib.decompressobj(_GZIP)
            yield unpacker.decompress(rest, _PIECE_BYTES)
            is_whole = unpacker.eof
            rest = unpacker.unused_data if is_whole else unpacker.unconsumed_tail
    yield unpacker.flush()
    if not is_whole and not unpacker.eof:
        raise zlib.error("The body ends early.")


def _may_be_cut(response: requests.Response) -> bool:
    """Whether a body could end too early and look whole to HTTP.

    A server counts the length of a small body itself, also when PHP died meanwhile; a big one's
    length was announced by who wrote it, and all of it has to come (docs/sources.md#answers).
    """
    length = _announced_bytes(response)
    is_packed = response.headers.get("Content-Encoding", "identity") != "identity"
    return length is None or is_packed or length < _BUFFERED_BYTES


def _is_cut_short(response: requests.Response) -> bool:
    # urllib3 before 2 does not compare by itself. `tell` counts bytes before decompression.
    length = _announced_bytes(response)
    return length is not None and int(response.raw.tell()) < length


def _announced_bytes(response: requests.Response) -> int | None:
    announced = response.headers.get("Content-Length", "")
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    return int(announced) if _LENGTH.fullmatch(announced) and not chunked else None


def _failure_of(error: Exception) -> Failure:
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
    by_class: tuple[tuple[type[requests.RequestException], Reason], ...] = (
        (requests.exceptions.ProxyError, "proxy"),
        (requests.exceptions.SSLError, "tls"),
        (requests.exceptions.ConnectTimeout, "connect_timeout"),
        (requests.exceptions.ReadTimeout, "read_timeout"),
        (requests.exceptions.ContentDecodingError, "unreadable"),
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
