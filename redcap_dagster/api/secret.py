"""Where an API token comes from, when it is not given as text."""

import os
from dataclasses import dataclass, field
from typing import Protocol

from redcap_dagster.api.api_token import check_variable_name
from redcap_dagster.errors import ConfigError

TOKEN_VARIABLE = "REDCAP_API_TOKEN"  # noqa: S105 - the variable's name, not a token


class SecretSource(Protocol):
    """Something that knows a secret: an environment variable, a vault, a file of a container."""

    def read(self) -> str:
        """The secret. Its caller shows it to nobody."""


@dataclass(frozen=True, slots=True)
class GivenSecret:
    """A secret that was handed over as text. Nothing prints it.

    Attributes:
        text: The secret.
    """

    text: str = field(repr=False)

    def read(self) -> str:
        """The secret."""
        return self.text


@dataclass(frozen=True, slots=True)
class EnvironmentSecret:
    """The secret in an environment variable, read where and when it is used.

    It holds the variable's name only, so it may be printed, pickled and sent to another machine.

    Attributes:
        variable: Name of the environment variable.

    Raises:
        ConfigError: The name has the shape of a token.
    """

    variable: str = TOKEN_VARIABLE

    def __post_init__(self) -> None:
        check_variable_name(self.variable)

    def read(self) -> str:
        """The variable's text.

        Raises:
            ConfigError: The variable is not set.
        """
        if self.variable not in os.environ:
            raise ConfigError(
                f"The environment variable {self.variable} is not set where this runs. It should "
                "hold the API token, as REDCap's API page of the project shows it."
            )
        return os.environ[self.variable]


def secret_source(given: str | SecretSource | None) -> SecretSource | None:
    """Where to read what was given as a secret; None when it is neither text nor a source.

    It does not raise, so that no traceback holds what was given.
    """
    if given is None:
        return EnvironmentSecret()
    if isinstance(given, str):
        return GivenSecret(given)
    return given if hasattr(given, "read") else None
