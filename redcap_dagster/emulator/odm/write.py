"""Writes whole CDISC ODM documents as REDCap writes them."""

from collections.abc import Iterable, Iterator

from redcap_dagster.emulator.answers import XML_HEAD
from redcap_dagster.emulator.odm.markup import tag

_NAMESPACES = {
    "xmlns": "http://www.cdisc.org/ns/odm/v1.3",
    "xmlns:ds": "http://www.w3.org/2000/09/xmldsig#",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xmlns:redcap": "https://projectredcap.org",
    "xsi:schemaLocation": "http://www.cdisc.org/ns/odm/v1.3 schema/odm/ODM1-3-1.xsd",
    "ODMVersion": "1.3.1",
    "FileOID": "000-00-0000",
    "FileType": "Snapshot",
}


def iter_document(
    title: str, written_at: str, redcap_version: str, body: Iterable[str]
) -> Iterator[str]:
    """Yield the lines of a document.

    Args:
        title: The project's title.
        written_at: Server time, `YYYY-MM-DD HH:MM:SS`.
        redcap_version: What the server says it is.
        body: The lines inside the root element.
    """
    moment = written_at.replace(" ", "T")
    described = {
        "Description": title,
        "AsOfDateTime": moment,
        "CreationDateTime": moment,
        "SourceSystem": "REDCap",
        "SourceSystemVersion": redcap_version,
    }
    yield XML_HEAD
    yield tag("ODM", {**_NAMESPACES, **described})
    yield from body
    yield "</ODM>"
