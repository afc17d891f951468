"""One POST: its body streams to where it belongs, and whatever goes wrong comes back as a value."""

import re
import zlib
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any, BinaryIO
from urllib.parse import quote_plus

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from redcap_dagster.api.address import is_loopback
from redcap_dagster.api.api_token import ApiToken
from redcap_dagster.api.body import HEAD_BYTES, REFUSAL_BYTES, Answer, BodyWatch
from redcap_dagster.api.call import Call
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.forks import renew_after_fork
from redcap_dagster.api.response_body import is_cut_short, may_be_cut, pieces
from redcap_dagster.api.transport_failures import cut_short, failure_of

_OK = 200
_REFUSED = {400, 406}
_USER_AGENT = f"redcap-dagster/{version('redcap-dagster')}"
_FORM_TYPE = "application/x-www-form-urlencoded"
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_POOLED_CONNECTIONS = 32


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
        except (requests.RequestException, urllib3.exceptions.HTTPError, zlib.error) as error:
            return failure_of(error)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()


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
        counts_quotes=not is_file and may_be_cut(response),
        head_bytes=head_bytes,
    )
    received = 0
    for piece in pieces(response):
        received += len(piece)
        kept = watch.feed(piece)
        if response.status_code == _OK:
            sink.write(kept)
        elif received >= head_bytes:
            break
    rest = watch.finish()
    if response.status_code == _OK:
        sink.write(rest)
        if is_cut_short(response):
            return cut_short()
    headers = {name.lower(): value for name, value in response.headers.items()}
    headers.setdefault("date", formatdate(usegmt=True))
    return watch.answer(response.status_code, headers)


def _head_bytes(status: int, call: Call) -> int:
    """How much of a body is kept: an import's refusal names every value that is wrong."""
    is_refusal = call.is_write and status in _REFUSED
    return REFUSAL_BYTES if is_refusal else HEAD_BYTES
