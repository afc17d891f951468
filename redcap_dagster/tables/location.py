"""Where tables lie: a folder, or a place in an object store."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import NamedTuple, TypeAlias, TypeVar

import fsspec
import pyarrow.parquet as pq
from fsspec.utils import get_protocol
from upath import UPath

from redcap_dagster.errors import ConfigError, TableError

Location: TypeAlias = Path | UPath
"""A folder or file: a `Path` on this machine, a `UPath` in an object store."""

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")
_CONNECTIONS = 10
"""As many as the client of S3 keeps; more would wait for each other."""


class _Store(NamedTuple):
    """What a kind of object store needs, and what its client raises beside `OSError`."""

    extra: str
    errors: tuple[str, ...]


_S3 = _Store("s3", ("botocore.exceptions:BotoCoreError",))
_GCS = _Store(
    "gcs",
    ("gcsfs.retry:HttpError", "google.auth.exceptions:GoogleAuthError", "aiohttp:ClientError"),
)
_AZURE = _Store("azure", ("azure.core.exceptions:AzureError",))
_STORES = {
    "s3": _S3,
    "s3a": _S3,
    "gs": _GCS,
    "gcs": _GCS,
    "az": _AZURE,
    "abfs": _AZURE,
    "abfss": _AZURE,
}
_FOLDERS = ("", "file", "local")
_MEMORY = "memory"
"""Of this process alone; for tests."""


def to_location(address: str | Path | UPath) -> Location:
    """Read an address: a folder's path, or the URL of a place in an object store.

    Nothing is asked of the store. Credentials come from its client's usual environment, or with a
    `UPath` that was made with them.

    Args:
        address: `data/asthma`, `s3://bucket/asthma`, `gs://…` or `az://…`.

    Raises:
        ConfigError: Another kind of place, or one whose client is not installed.
    """
    if isinstance(address, Path):
        return Path(address)
    if not str(address):
        raise ConfigError("The place to publish in is an empty text: give a folder's name.")
    protocol = get_protocol(address) if isinstance(address, str) else address.protocol
    if protocol in _FOLDERS:
        try:
            return Path(UPath(address).path)
        except ValueError as error:  # `S3:/bucket`
            raise ConfigError(
                f"{address} is neither a folder nor a place in an object store, as s3://… is."
            ) from error
    if protocol != _MEMORY:
        _check_client(protocol)
    # A listing that is remembered would not show what another machine has published since.
    return UPath(address, use_listings_cache=False)


def open_parquet(file: Location) -> pq.ParquetFile:
    """Open a Parquet file for reading; a context manager, which closes it."""
    if isinstance(file, Path):
        return pq.ParquetFile(file)
    return pq.ParquetFile(file.path, filesystem=file.fs, pre_buffer=True)


def read_small(file: Location) -> bytes:
    """The bytes of a small file that is not empty, for one request of a store."""
    if isinstance(file, Path):
        return file.read_bytes()
    # Without a start, the client of S3 asks for the size first.
    return bytes(file.fs.cat_file(file.path, start=0))


def read_side_by_side(
    read: Callable[[_Item], _Found], items: Iterable[_Item]
) -> tuple[_Found, ...]:
    """Read from several places at once, as an answer of a store is long in coming.

    Returns:
        What was read, in the order of the items. The first failure is raised.
    """
    with ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="redcap-read") as pool:
        return tuple(pool.map(read, items))


@contextmanager
def writing_to(shelf: Location) -> Iterator[None]:
    """Turn a failure of the file system or store into one that says what readers see.

    Raises:
        ConfigError: The store's client has not what it needs.
        TableError: In place of the failure.
    """
    _connect(shelf)
    try:
        yield
    except _errors_of(shelf) as error:
        raise TableError(
            f"Tables could not be written in {shelf}: {_reason(error)}. "
            "What readers see is unchanged."
        ) from error


@contextmanager
def reading_from(shelf: Location) -> Iterator[None]:
    """Turn a failure of an object store into a sentence; a folder's stays what it is.

    Raises:
        ConfigError: The store's client has not what it needs.
        TableError: In place of the failure.
    """
    _connect(shelf)
    try:
        yield
    except _errors_of_store(shelf) as error:
        raise TableError(f"Tables could not be read from {shelf}: {_reason(error)}.") from error


def _check_client(protocol: str) -> None:
    store = _STORES.get(protocol)
    if store is None:
        raise ConfigError(
            f"Tables cannot be published under {protocol}://. Give a folder, or a place in "
            "an object store: s3://, gs://, az:// or abfs://."
        )
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise ConfigError(
            f"{protocol}:// needs a client that is not installed: "
            f"pip install 'redcap-dagster[{store.extra}]'"
        ) from error


def _connect(place: Location) -> None:
    """Make the store's client, which looks for credentials then."""
    if isinstance(place, Path):
        return
    try:
        _ = place.fs
    except ValueError as error:
        if _STORES.get(place.protocol) is not _AZURE:
            raise
        raise ConfigError(  # Azure's client has this one error for anything that it lacks
            f"{place} cannot be reached: its client finds no credentials. Set "
            "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and what proves that "
            "the account is yours (docs/tables.md)."
        ) from error


def _errors_of(place: Location) -> tuple[type[Exception], ...]:
    return (OSError, *_errors_of_store(place))


def _errors_of_store(place: Location) -> tuple[type[Exception], ...]:
    """What the store's client raises; nothing for a folder."""
    store = None if isinstance(place, Path) else _STORES.get(place.protocol)
    if store is None:
        return ()
    return (PermissionError, *map(resolve_name, store.errors))


def _reason(error: BaseException) -> str:
    words = str(error)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        words = f"{os.strerror(error.errno)}; make room and run it again"
    elif isinstance(error, OSError) and error.strerror:
        words = error.strerror
    elif isinstance(error, FileNotFoundError):  # Google's client gives the address alone
        words = f"not found: {words}"
    # Azure adds numbers of its own in further lines.
    return (words.splitlines() or [type(error).__name__])[0].rstrip(".")
