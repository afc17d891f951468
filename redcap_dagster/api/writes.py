"""What the methods that change something have in common: one call, one small answer."""

import re
from collections.abc import Mapping
from typing import Any

from redcap_dagster.api.call import Call, Need
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.json_text import parse_json
from redcap_dagster.api.parameters import Value, build_pairs
from redcap_dagster.api.payload import Data, DataFormat, Payload, build_payload
from redcap_dagster.api.sender import Sender

_COUNT = re.compile(r"[0-9]{1,18}")
_XML_COUNT = re.compile(r"<count>\s*(\d+)\s*</count>")


class Writes:
    """Methods that change something. Safe to use from several threads.

    A request is sent again only when REDCap has certainly not seen it: it could not be reached, or
    asked for fewer requests. After any other failure that may pass, the error says that nobody
    knows whether it was carried out, and its `retryable` is False.

    `data` are dicts, a pandas frame, or text with its `data_format`; see
    `redcap_dagster.api.payload`.
    """

    _sender: Sender

    def _import(
        self,
        content: str,
        data: Data,
        data_format: DataFormat | None,
        *,
        action: str | None = "import",
        parameters: Mapping[str, Value] | None = None,
    ) -> int:
        """Import rows and return REDCap's count of them."""
        payload = build_payload(data, data_format)
        values = {"action": action, **(parameters or {})}
        return self._sender.send(import_call(content, payload, values), read_count)

    def _act(
        self, content: str, parameters: Mapping[str, Value], needs: tuple[Need, ...] = ()
    ) -> int:
        """Change something without data and return REDCap's count."""
        call = Call(content, "text", build_pairs(parameters), "", is_write=True, needs=needs)
        return self._sender.send(call, read_count)


def import_call(
    content: str,
    payload: Payload,
    values: Mapping[str, Value],
    *,
    may_be_nothing: bool = False,
    needs: tuple[Need, ...] = (),
    takes_super_token: bool = False,
) -> Call:
    """The call that imports data."""
    return Call(
        content=content,
        wire_format="text",
        parameters=(*build_pairs(values), ("data", payload.text)),
        format_word=payload.data_format,
        is_write=True,
        may_be_nothing=may_be_nothing,
        needs=needs,
        takes_super_token=takes_super_token,
        data_names=payload.names,
    )


def read_count(body: bytes) -> int | Failure:
    """A count, whether it comes bare, in quotes, in an object or in XML."""
    value = read_small_json(body)
    if isinstance(value, dict):
        value = value.get("count")
    if isinstance(value, str):
        found = _XML_COUNT.search(value)
        value = found.group(1) if found else value.strip()
    if isinstance(value, str) and _COUNT.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return Failure("not_as_asked", "the answer is not a count.", 200)


def read_small_json(body: bytes) -> Any:
    """The value of a small JSON body, or its text where it is not JSON."""
    text = body.decode("utf-8", "replace")
    try:
        return parse_json(text)
    except ValueError:
        return text
