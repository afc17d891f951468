"""Whether an answer can be believed. Pure: an answer and its call in, a verdict out.

The order is: status, error objects, pages and last words of PHP, then the shape of the format that
was asked for. Facts about REDCap: docs/sources.md#answers.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from redcap_dagster.api.address import origin_of_any
from redcap_dagster.api.body import Answer
from redcap_dagster.api.call import Call
from redcap_dagster.api.failure import Failure, Reason
from redcap_dagster.api.findings import describe_findings, parse_findings
from redcap_dagster.api.messages import (
    BANNED,
    BARE_FAILURE,
    DATABASE_DOWN,
    ERROR_AT_END,
    NO_API_RIGHT,
    OUT_OF_MEMORY,
    PHP_DIED,
    PHP_ERROR,
    PHP_NOTICE,
    find_error_message,
    showable,
)

_OK = 200
_UNAUTHORIZED = {401, 403}
_NOTHING_THERE = {404, 405, 410}
_REQUEST_TIMEOUT = 408
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_NOT_IMPLEMENTED = 501
_SECONDS = re.compile(r"\d{1,9}")

_NAME = re.compile(r"\"?[\w-]*\"?")
# With label headers a csv may begin with the HTML of a label, so only the look of a page counts.
_PAGE = re.compile(
    r"<(?:!doctype|!--|html|head|body|title|center|br\b|b>(?:Fatal|Parse|Warning))", re.IGNORECASE
)
# A name ends before a sign that is in none, or a tag that is never closed would take hours.
_XML_ROOT = re.compile(rb"<([A-Za-z_][\w.:-]*)(?=[\s/>])([^<>]*)>")

_SENTENCES: dict[Reason, str] = {
    "address_banned": (
        "the server has banned the address of this machine, because too many requests came from "
        "it. The ban is permanent: send nothing more, ask your REDCap administrator to lift it, "
        "and lower requests_per_minute."
    ),
    "out_of_memory": (
        "REDCap ran out of memory while it made the answer. It was asked for too much at once: "
        "ask for fewer records or instruments in one request."
    ),
    "database_down": (
        "REDCap could not reach its database. This usually passes; if it does not, tell your "
        "REDCap administrator."
    ),
    "php_failure": (
        "REDCap failed while it made the answer and sent PHP's error text instead. Ask for less "
        "at once, and tell your REDCap administrator if it stays."
    ),
    "page_instead_of_data": (
        "a web page came where data should be. A login page, a maintenance page or a proxy stands "
        "before the API, or the URL is not that of the API: open the URL in a browser to see."
    ),
    "api_token": (
        "this API token may not use the API: it is wrong, was revoked or has expired, or its user "
        "lost the API right in this project. Ask for a new token on the project's API page, or "
        "have the user's rights checked."
    ),
    "empty": (
        "the body is empty where even an answer without rows has text. REDCap or a proxy lost it; "
        "if it stays, ask for less at once."
    ),
    "ends_inside_a_cell": (
        "the csv ends inside a quoted cell: its end was lost on the way, or a value holds quotes "
        "that REDCap did not write as csv."
    ),
    "not_as_asked": (
        "the csv begins with something else than the names of its columns: a message of the server "
        "or of a proxy came in its place."
    ),
    "last_line_cut": "the csv does not end with a line break: its end was lost on the way.",
    "unreadable": "the body is not whole {format}: its end was lost on the way, or REDCap failed.",
}


def judge(answer: Answer, call: Call) -> Failure | None:
    """What is wrong with an answer, or None when it can be believed as far as its shape goes.

    Rows, columns and ids are not looked at: only the caller knows which are due.
    """
    text = answer.head.decode("utf-8", "replace").strip()
    if answer.status != _OK:
        return _judge_status(answer, call, text)
    if call.wire_format == "file":
        return _judge_file(answer, call, text)
    return _find_failure_text(answer, call, text) or _judge_shape(answer, call)


def unreadable(call: Call) -> Failure:
    """The verdict on a body that its format's reader could not read."""
    return Failure("unreadable", _SENTENCES["unreadable"].format(format=call.wire_format), _OK)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a Retry-After header asks to wait, or None when it says nothing readable.

    A date is read against the answer's own Date header, so that the clocks of the two machines do
    not matter.
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until, sent = _http_date(text), _http_date(headers.get("date", ""))
    if until is None or sent is None:
        return None
    try:
        return max(0.0, (until - sent).total_seconds())
    except OverflowError:
        return None


def _judge_status(answer: Answer, call: Call, text: str) -> Failure:
    status = answer.status
    if 300 <= status < 400:  # noqa: PLR2004 — the class of redirects
        return _redirected(answer)
    known = _known_failure(text, status)
    if known:
        return known
    if status == _TOO_MANY_REQUESTS:
        return Failure(
            "too_many_requests",
            "the server asked for fewer requests (HTTP 429). Lower requests_per_minute, or run "
            "fewer extracts at the same time.",
            status,
            retry_after_s(answer.headers),
        )
    message = find_error_message(text)
    if message is None and not text.startswith("<"):
        message = text
    if status in _UNAUTHORIZED:
        return _not_permitted(status, call, message)
    if status in _NOTHING_THERE and message is None:
        return Failure(
            "no_api_at_url",
            f"there is no API at this URL (HTTP {status}). It is the address of your REDCap in a "
            "browser, followed by /api/.",
            status,
        )
    if status == _REQUEST_TIMEOUT or (status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED):
        return Failure(
            "server_error",
            f"the server failed (HTTP {status}). It is overloaded or down, or was asked for too "
            "much at once.",
            status,
            retry_after_s(answer.headers),
        )
    if status < 300:  # noqa: PLR2004 — 2xx other than 200 never comes from REDCap
        sentence = f"HTTP {status} came, which REDCap never sends. Is a proxy in between?"
        return Failure("not_as_asked", sentence, status)
    return _rejected(status, call, message)


def _redirected(answer: Answer) -> Failure:
    target = answer.headers.get("location", "")
    where = "another path of the same host"
    if "://" in target:
        where = origin_of_any(target) or "an address that is none"
    return Failure(
        "redirected",
        f"the server sent us on to {where} (HTTP {answer.status}). A redirect is never followed, "
        "as it would carry the API token along: set the API URL to the final one, with https and "
        "ending in /api/.",
        answer.status,
    )


def _not_permitted(status: int, call: Call, message: str | None) -> Failure:
    if message is None:
        return Failure(
            "not_permitted",
            f"a web page came with HTTP {status}: the server, or a firewall before it, does not "
            "let this machine in. Ask your REDCap administrator.",
            status,
        )
    if not message or NO_API_RIGHT.search(message):
        return Failure("api_token", _SENTENCES["api_token"], status)
    return Failure(
        "not_permitted",
        f"REDCap says: {_shown(message, call)} Have the rights of the token's user checked under "
        "User Rights.",
        status,
        server_message=message,
    )


def _rejected(status: int, call: Call, message: str | None) -> Failure:
    if message is None:
        sentence = f"a web page came with HTTP {status}: a server before REDCap refused it."
        return Failure("rejected", sentence, status)
    complaint = _import_rejected(status, call, message)
    if complaint:
        return complaint
    said = f"REDCap says: {_shown(message, call)}" if message else "REDCap gave no reason."
    return Failure(
        "rejected", f"the request was refused (HTTP {status}). {said}", status, None, message
    )


def _import_rejected(status: int, call: Call, message: str) -> Failure | None:
    findings = parse_findings(message) if call.is_write and call.content == "record" else ()
    if not findings:
        return None
    return Failure(
        "import_rejected",
        f"the data were refused (HTTP {status}), and nothing of them was taken. "
        + describe_findings(findings),
        status,
        server_message=message,
        findings=findings,
    )


def _shown(message: str, call: Call) -> str:
    shown = showable(message, call.asked_words())
    return shown if shown.endswith(".") else f"{shown}."


def _known_failure(text: str, status: int) -> Failure | None:
    """A failure that REDCap and PHP tell in words, whatever they are wrapped in."""
    reasons: tuple[tuple[Reason, re.Pattern[str]], ...] = (
        ("address_banned", BANNED),
        ("out_of_memory", OUT_OF_MEMORY),
        ("database_down", DATABASE_DOWN),
        ("api_token", NO_API_RIGHT),
    )
    for reason, pattern in reasons:
        if pattern.search(text):
            return Failure(reason, _SENTENCES[reason], status)
    return None


def _find_failure_text(answer: Answer, call: Call, text: str) -> Failure | None:
    """A failure that came with status 200: an error object, a page, PHP's last words."""
    message = find_error_message(text) if answer.size <= len(answer.head) else None
    # A label may begin with "Error:"; but then the csv is whole and ends with a line break.
    if message is not None and not (call.has_label_headers and answer.tail.endswith(b"\n")):
        return _known_failure(message, _OK) or _rejected(_OK, call, message)
    if _looks_like_page(answer, text, call):
        reason: Reason = "php_failure" if PHP_ERROR.search(text) else "page_instead_of_data"
        return _known_failure(text, _OK) or Failure(reason, _SENTENCES[reason], _OK)
    if BARE_FAILURE.match(text) or PHP_NOTICE.match(text):
        return _known_failure(text, _OK) or Failure("php_failure", _SENTENCES["php_failure"], _OK)
    # A note may speak of errors; what PHP prints when it dies stands behind the root of an XML.
    if call.wire_format == "xml" and _has_xml_ends(answer):
        return None
    if PHP_DIED.search(answer.tail) or ERROR_AT_END.search(answer.tail):
        ending = answer.tail.decode("utf-8", "replace")
        reason = "out_of_memory" if OUT_OF_MEMORY.search(ending) else "php_failure"
        return Failure(reason, _SENTENCES[reason], _OK)
    return None


def _looks_like_page(answer: Answer, text: str, call: Call) -> bool:
    if _may_be_xml(text, call):
        root = _XML_ROOT.search(answer.head)
        is_html = root is not None and root[1].lower() == b"html"
        return is_html or _PAGE.match(text) is not None
    if call.has_label_headers:
        return _PAGE.match(text) is not None
    return text.startswith("<")


def _may_be_xml(text: str, call: Call) -> bool:
    """Whether a good answer may be XML: where it is asked for, or comes as what it is.

    External modules answer in what they like, and old servers count an import in XML.
    """
    if call.wire_format == "text":
        return call.format_word in {"xml", "odm"} or text.startswith("<?xml")
    return call.wire_format == "xml"


def _judge_file(answer: Answer, call: Call, text: str) -> Failure | None:
    """A stored file may hold anything, a web page or an error text too: its header tells it."""
    names_a_file = "name=" in answer.headers.get("content-type", "").lower()
    if answer.head.startswith(b"%PDF") if call.content == "pdf" else names_a_file:
        return None
    sentence = "no file came: the answer's header names none."
    return _find_failure_text(answer, call, text) or Failure("not_as_asked", sentence, _OK)


def _judge_shape(answer: Answer, call: Call) -> Failure | None:
    reason: Reason | None = None
    if answer.is_blank:
        is_due = not (call.may_be_nothing or (call.may_be_blank and answer.size))
        reason = "empty" if is_due else None
    elif call.wire_format == "csv":
        reason = _csv_fault(answer, call)
    elif not _has_both_ends(answer, call):
        return unreadable(call)
    return Failure(reason, _SENTENCES[reason], _OK) if reason else None


def _csv_fault(answer: Answer, call: Call) -> Reason | None:
    if answer.has_odd_quotes:
        return "ends_inside_a_cell"
    if call.ends_with_newline and not answer.tail.endswith(b"\n"):
        return "last_line_cut"
    if not call.has_label_headers and not _begins_with_names(answer, call):
        return "not_as_asked"
    return None


def _begins_with_names(answer: Answer, call: Call) -> bool:
    """Whether the first line can be names of columns, which hold neither blanks nor signs."""
    line, line_break, _ = answer.head.decode("utf-8", "replace").partition("\n")
    cells = line.rstrip("\r").split(call.csv_delimiter)
    whole = cells if line_break or answer.size <= len(answer.head) else cells[:-1]
    return not line.strip() or all(map(_NAME.fullmatch, whole))


def _has_both_ends(answer: Answer, call: Call) -> bool:
    if call.wire_format == "json":
        return _has_json_ends(answer)
    return call.wire_format != "xml" or _has_xml_ends(answer)


def _has_json_ends(answer: Answer) -> bool:
    start, end = answer.head.lstrip()[:1], answer.tail.rstrip()[-1:]
    return (start, end) in {(b"[", b"]"), (b"{", b"}")}


def _has_xml_ends(answer: Answer) -> bool:
    root = _XML_ROOT.search(answer.head)
    if root is None:
        return False
    name, attributes = root.groups()
    if attributes.endswith(b"/"):
        return answer.tail.rstrip().endswith(b"/>")
    return answer.tail.rstrip().endswith(b"</" + name + b">")


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
