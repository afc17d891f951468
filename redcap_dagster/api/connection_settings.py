"""How a server is reached: which certificates are trusted, and how long is waited."""

import ssl
from numbers import Real
from pathlib import Path

from redcap_dagster.errors import ConfigError

_LONGEST_TIMEOUT_S = 24 * 60 * 60


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
