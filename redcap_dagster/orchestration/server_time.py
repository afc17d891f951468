"""The time zone of REDCap's server, whose local time its log and dates have."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from redcap_dagster.errors import ConfigError


def parse_timezone(name: str) -> ZoneInfo:
    """The time zone of a name, as in Europe/Berlin.

    Raises:
        ConfigError: There is no such time zone.
    """
    try:
        return ZoneInfo(name)
    # "Europe" is a folder of zones.
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"`server_timezone` is {name!r}; it takes the name of a time zone, as in Europe/Berlin."
        ) from error
