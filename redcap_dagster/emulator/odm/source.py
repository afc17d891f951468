"""Opens a project XML that is given as a path, as text or as bytes."""

import io
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from redcap_dagster.emulator.errors import ProjectFileError

XmlSource = str | bytes | PathLike[str]
"""A path, or the XML itself: a text or bytes whose first character is `<`."""


def open_source(source: XmlSource) -> tuple[BinaryIO, str]:
    """Return the open source and what messages call it.

    Raises:
        ProjectFileError: There is no such file, or it cannot be read.
    """
    if isinstance(source, bytes):
        return io.BytesIO(source), "The XML"
    if isinstance(source, str) and source.lstrip("\ufeff \r\n\t").startswith("<"):
        return io.BytesIO(source.encode()), "The XML"
    path = Path(source)
    try:
        return path.open("rb"), str(path)
    except OSError as error:
        raise ProjectFileError(f"{path} cannot be read: {error.strerror}.") from error
