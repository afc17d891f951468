"""The API token: checked for its shape, and kept where nothing prints it."""

import re
from typing import NoReturn

from redcap_dagster.errors import ConfigError

_PROJECT = re.compile(r"[0-9A-Fa-f]{32}")
_SUPER = re.compile(r"[0-9A-Za-z]{64}")


class ApiToken:
    """A secret that shows itself only to who asks by name.

    `repr` and `str` hide it, and it does not pickle.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def is_super(self) -> bool:
        """Whether this is a super API token, which creates projects and belongs to none."""
        return _SUPER.fullmatch(self._text) is not None

    def reveal(self) -> str:
        """The token itself, for the body of a request."""
        return self._text

    def __repr__(self) -> str:
        return "ApiToken(hidden)"

    def __reduce__(self) -> NoReturn:
        message = "An API token does not pickle. Read it from the environment where it is used."
        raise TypeError(message)


def parse_api_token(text: str) -> ApiToken:
    """Check the shape of a token, without its line break, blanks around it removed.

    Raises:
        ConfigError: Neither 32 hexadecimal digits (a project's token) nor 64 letters and digits (a
            super token). The message says how long it is and does not show it.
    """
    token = text.strip()
    if _PROJECT.fullmatch(token) or _SUPER.fullmatch(token):
        return ApiToken(token)
    if not token:
        raise ConfigError(
            "The REDCap API token is blank. Is the environment variable that should hold it "
            "(usually REDCAP_API_TOKEN) set where this runs?"
        )
    raise ConfigError(
        f"The REDCap API token has {len(token)} characters that are not a token: expected 32 "
        "hexadecimal digits, as REDCap's API page of the project shows them. Was the name of the "
        "variable given instead of its value, or a part left out when it was copied?"
    )


def check_variable_name(name: str) -> str:
    """A name of an environment variable, which is not what the variable should hold.

    Raises:
        ConfigError: It has the shape of a token, which the message does not show, or of an address.
    """
    if "://" in name:
        raise ConfigError(
            "The name of an environment variable is wanted, and what is given is an address. Put "
            "it into a variable, REDCAP_API_URL say, and give its name."
        )
    if _PROJECT.fullmatch(name.strip()) or _SUPER.fullmatch(name.strip()):
        raise ConfigError(
            "The name of an environment variable is wanted, and what is given looks like an API "
            "token (it is not shown here). Put the token into a variable, REDCAP_API_TOKEN say, "
            "and give its name. If others could read it where it stood, have REDCap make a new one."
        )
    return name
