"""Options that take one of a few words."""

from collections.abc import Collection

from redcap_dagster.errors import ConfigError

DELIMITERS: dict[str, str] = {",": ",", "tab": "\t", "\t": "\t", ";": ";", "|": "|", "^": "^"}
"""What a csv delimiter may be called, to the character it is."""


def one_of(option: str, value: str, allowed: Collection[str]) -> str:
    """The value, when it is one of the words an option takes.

    Raises:
        ConfigError: It is not.
    """
    if value not in allowed:
        raise ConfigError(f"`{option}` must be one of {', '.join(map(repr, allowed))}.")
    return value


def delimiter_word(value: str) -> str:
    """What REDCap calls a csv delimiter.

    Raises:
        ConfigError: REDCap has no such delimiter.
    """
    word = one_of("csv_delimiter", value, DELIMITERS)
    return "tab" if word == "\t" else word
