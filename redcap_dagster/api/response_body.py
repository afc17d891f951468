"""The bytes of an answer: unpacked, in pieces of a good size, and whether all of them came."""

import re
import zlib
from collections.abc import Iterable, Iterator

import requests

_LENGTH = re.compile(r"[0-9]{1,18}")
_PIECE_BYTES = 256 * 1024
# More than servers and proxies hold back to count it.
_BUFFERED_BYTES = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_MEMBER = b"\x1f\x8b"


def pieces(response: requests.Response) -> Iterator[bytes]:
    """The body in pieces big enough that handling them costs nothing beside the bytes.

    A body in chunks comes in theirs, which are a few kilobytes.
    """
    held: list[bytes] = []
    size = 0
    is_gzip = response.headers.get("Content-Encoding", "").lower() in {"gzip", "x-gzip"}
    received = (
        _unpacked(response.raw.stream(_PIECE_BYTES, decode_content=False))
        if is_gzip
        else response.iter_content(_PIECE_BYTES)
    )
    for piece in received:
        held.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(held) if len(held) > 1 else piece
            held, size = [], 0
    yield b"".join(held)


def _unpacked(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress a body; no bytes stay none, and what stands behind its end is passed over.

    urllib3 would take a body that ends early for whole.

    Raises:
        zlib.error: It is damaged, or ends early.
    """
    unpacker = zlib.decompressobj(_GZIP)
    rest, is_whole = b"", True
    for piece in packed:
        rest += piece
        while rest:
            if unpacker.eof:
                if len(rest) < len(_MEMBER):
                    break
                if not rest.startswith(_MEMBER):
                    rest = b""
                    break
                unpacker = zlib.decompressobj(_GZIP)
            yield unpacker.decompress(rest, _PIECE_BYTES)
            is_whole = unpacker.eof
            rest = unpacker.unused_data if is_whole else unpacker.unconsumed_tail
    yield unpacker.flush()
    if not is_whole and not unpacker.eof:
        raise zlib.error("The body ends early.")


def may_be_cut(response: requests.Response) -> bool:
    """Whether a body could end too early and look whole to HTTP.

    A server counts the length of a small body itself, also when PHP died meanwhile; a big one's
    length was announced by who wrote it, and all of it has to come (docs/sources.md#answers).
    """
    length = _announced_bytes(response)
    is_packed = response.headers.get("Content-Encoding", "identity") != "identity"
    return length is None or is_packed or length < _BUFFERED_BYTES


def is_cut_short(response: requests.Response) -> bool:
    """Whether fewer bytes came than were announced."""
    # urllib3 before 2 does not compare by itself. `tell` counts bytes before decompression.
    length = _announced_bytes(response)
    return length is not None and int(response.raw.tell()) < length


def _announced_bytes(response: requests.Response) -> int | None:
    announced = response.headers.get("Content-Length", "")
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    return int(announced) if _LENGTH.fullmatch(announced) and not chunked else None
