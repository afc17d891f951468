"""Lets in only requests of a person at this page: no other site can change or read anything."""

import secrets
from ipaddress import ip_address

from starlette.requests import Request

TOKEN_FIELD = "form-token"  # noqa: S105 - a field's name
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none';"
        " base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    # Not `no-referrer`: browsers then say that their own forms come from nowhere (`Origin: null`).
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Knows the secret that every form of these pages carries.

    Args:
        host: The address the server listens on.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self.form_token = secrets.token_urlsafe(32)

    def knows_host(self, request: Request) -> bool:
        """Whether the browser asked for an address, not for a name that may lead elsewhere.

        A foreign name that resolves to loopback would make this page that site's own.
        """
        name = request.url.hostname or ""
        return name in {"localhost", self._host} or _is_address(name)

    def may_change(self, request: Request, form_token: str) -> bool:
        """Whether a form was sent from these pages."""
        origin = request.headers.get("origin")
        if origin is not None and origin != f"{request.url.scheme}://{request.url.netloc}":
            return False
        return secrets.compare_digest(form_token.encode(), self.form_token.encode())


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
