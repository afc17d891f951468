"""The one URL of a REDCap server's API: checked before anything is sent."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from redcap_dagster.errors import ConfigError

_ORIGIN = re.compile(r"https?://[^\s/:]+(?::\d+)?|https?://\[[0-9a-f:.]+\](?::\d+)?")
_USUAL_PORTS = {"http": 80, "https": 443}
_EXAMPLE = "https://redcap.example.org/api/"


def parse_api_url(text: str) -> str:
    """Check the URL of a REDCap API and return it without blanks around it.

    The trailing slash matters: without it servers redirect, and the body of a POST is lost on the
    way.

    Raises:
        ConfigError: Not an http(s) URL that ends in `/api/`; plain http to another machine, where
            token and data could be read on the way; or a URL that carries a password or a query.
    """
    if not isinstance(text, str):
        raise ConfigError(
            "The REDCap API URL must be a text. Is the environment variable that should hold it "
            "(usually REDCAP_API_URL) set where this runs?"
        )
    url = text.strip()
    parts = _split(url)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(
            "The REDCap API URL carries a user name, a query or a fragment. Secrets do not belong "
            f"into a URL: it should look like {_EXAMPLE}, and the API token is given apart."
        )
    if not parts.path.endswith("/api/"):
        base = url.rstrip("/")
        wanted = f"{base}/" if base.endswith("/api") else f"{base}/api/"
        raise ConfigError(f"The REDCap API URL {url} does not end in /api/. Did you mean {wanted}?")
    if parts.scheme == "http" and not is_loopback(url):
        raise ConfigError(
            f"The REDCap API URL {url} is plain http: the API token and the data of participants "
            f"could be read on the way. Use https://{url.removeprefix('http://')}"
        )
    return url


def is_loopback(url: str) -> bool:
    """Whether a URL points to this machine (127.0.0.0/8, ::1, localhost)."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name; what it resolves to can change, so only `localhost` counts


def origin(url: str) -> str:
    """Scheme and host of a URL (`https://redcap.example.org`), for messages and shared budgets.

    The same for every way to write them: the usual port and the dot at a name's end are left out.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _USUAL_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def origin_of_any(url: str) -> str | None:
    """The origin of a URL that somebody else wrote; None where it names no host."""
    try:
        where = origin(url)
    except ValueError:
        return None
    return where if _ORIGIN.fullmatch(where) else None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_readable = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_readable = SplitResult("", "", "", "", ""), False
    is_http = parts.scheme in {"http", "https"} and port_is_readable
    if not is_http or not _can_be_resolved(parts.hostname or ""):
        raise ConfigError(
            f"The REDCap API URL is not an http(s) URL. It should look like {_EXAMPLE}: the "
            "address of your REDCap in a browser, followed by /api/."
        )
    return parts


def _can_be_resolved(host: str) -> bool:
    """Whether a host looks like a name or a number: libraries refuse others in their own way."""
    if not host or host.startswith(("*", ".")) or any(map(str.isspace, host)):
        return False
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True
