"""Bad answers of a server, and what becomes of each."""

import traceback
from dataclasses import dataclass

from redcap_dagster.errors import (
    AddressBannedError,
    AnswerError,
    ApiError,
    ApiTokenError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    TransportError,
)

TOKEN = "0123456789ABCDEF0123456789ABCDEF"
PATIENT = "Sentinel-Smith"
HTML = "<!DOCTYPE html><html><body>Bad gateway Sentinel-Smith</body></html>"
MEMORY = (
    "REDCap ran out of server memory. The request cannot be processed. "
    "Please try importing/exporting a smaller amount of data."
)
FATAL = (
    "<br />\n<b>Fatal error</b>:  Allowed memory size of 134217728 bytes exhausted (tried to "
    "allocate 20480 bytes) in <b>/var/www/redcap/Classes/Records.php</b> on line <b>88</b><br />\n"
)
UNCAUGHT = (
    "\nFatal error: Uncaught Error: Call to undefined function in "
    "/var/www/redcap/Classes/Records.php on line 88\n"
)
ROWS = 'record_id,name\n1,"Sentinel-Smith, John"\n'


@dataclass(frozen=True)
class Case:
    """One bad answer and what becomes of it."""

    name: str
    body: str | bytes
    error: type[ApiError]
    reason: str
    tries: int
    sentence: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = -1


CSV_CASES = [
    *(
        Case(f"{status} page", HTML, ServerError, "server_error", 3, f"HTTP {status}", status)
        for status in (500, 502, 503, 504, 408)
    ),
    Case("500 memory", FATAL, ServerError, "out_of_memory", 1, "ran out of memory", 500),
    Case("page as data", HTML, ServerError, "page_instead_of_data", 3, "web page"),
    Case("memory page", FATAL, ServerError, "out_of_memory", 1, "fewer records"),
    Case(
        "fatal then error object",
        FATAL + '{"error":"' + MEMORY + '"}',
        ServerError,
        "out_of_memory",
        1,
        "fewer records",
    ),
    Case("memory object", '{"error":"' + MEMORY + '"}', ServerError, "out_of_memory", 1, "fewer"),
    Case("rows then fatal", ROWS + FATAL, ServerError, "out_of_memory", 1, "fewer"),
    Case("rows then uncaught", ROWS + UNCAUGHT, ServerError, "php_failure", 3, "PHP"),
    Case(
        "rows then error object",
        ROWS + '{"error":"' + MEMORY + '"}',
        ServerError,
        "out_of_memory",
        1,
        "fewer",
    ),
    Case(
        "database down",
        "The hostname (db) / username (u) / password (hunter2) combination could not connect",
        ServerError,
        "database_down",
        3,
        "database",
    ),
    Case("error object", '{"error":"No"}', RequestRejectedError, "rejected", 1, "No."),
    Case("csv error", "ERROR: No", RequestRejectedError, "rejected", 1, "No."),
    Case(
        "xml error",
        '<?xml version="1.0" encoding="UTF-8" ?><hash><error>No &amp; no</error></hash>',
        RequestRejectedError,
        "rejected",
        1,
        "No & no.",
    ),
    Case(
        "unknown field",
        '{"error":"The following values in the parameter \\"fields\\" are not valid: \'x\'"}',
        RequestRejectedError,
        "rejected",
        1,
        "\"fields\" are not valid: 'x'.",
        400,
    ),
    Case(
        "message with an asked id",
        '{"error":"Sentinel-Smith was born 1970-01-01, \\"said Sentinel-Smith\\""}',
        RequestRejectedError,
        "rejected",
        1,
        'REDCap says: … was born … "…".',
        400,
    ),
    Case("400 page", HTML, RequestRejectedError, "rejected", 1, "web page", 400),
    Case("400 nothing", "", RequestRejectedError, "rejected", 1, "gave no reason", 400),
    Case("404", HTML, RequestRejectedError, "no_api_at_url", 1, "/api/", 404),
    Case(
        "501",
        '<?xml version="1.0" encoding="UTF-8" ?><hash><error>The requested method is not '
        "implemented.</error></hash>",
        RequestRejectedError,
        "rejected",
        1,
        "not implemented.",
        501,
    ),
    Case(
        "wrong token",
        '{"error":"You do not have permissions to use the API"}',
        ApiTokenError,
        "api_token",
        1,
        "wrong, was revoked or has expired",
        403,
    ),
    Case("403 nothing", "", ApiTokenError, "api_token", 1, "revoked", 403),
    Case(
        "missing right",
        '{"error":"You do not have Data Export privileges"}',
        RequestRejectedError,
        "not_permitted",
        1,
        "You do not have Data Export privileges. Have the rights",
        403,
    ),
    Case("firewall", HTML, RequestRejectedError, "not_permitted", 1, "firewall", 403),
    Case("429", "slow down", RateLimitedError, "too_many_requests", 3, "fewer requests", 429),
    Case(
        "ban page",
        "<html>Your IP address (10.0.0.1) has been banned due to suspected abuse.</html>",
        AddressBannedError,
        "address_banned",
        1,
        "permanent",
    ),
    Case(
        "ban text",
        "Your IP address (10.0.0.1) has been banned due to suspected abuse.",
        AddressBannedError,
        "address_banned",
        1,
        "permanent",
    ),
    Case(
        "ban with 403",
        "Your IP address (10.0.0.1) has been banned due to suspected abuse.",
        AddressBannedError,
        "address_banned",
        1,
        "permanent",
        403,
    ),
    *(
        Case(f"words {words[:5]}", words, AnswerError, "not_as_asked", 3, "names of its columns")
        for words in (
            "Sentinel-Smith: service temporarily unavailable\n",
            "Wartungsarbeiten bis 12 Uhr\nBitte sp\u00e4ter, Sentinel-Smith\n",
            "\u30e1\u30f3\u30c6\u30ca\u30f3\u30b9\u4e2d\u3067\u3059\u3002\n",
            "\ufeff\ufeffrecord_id,name\n1,Sentinel-Smith\n",
        )
    ),
    Case("nothing at all", "", AnswerError, "empty", 3, "empty"),
    Case("no content", "", AnswerError, "not_as_asked", 3, "HTTP 204", 204),
    Case("in a cell", ROWS[:25], AnswerError, "ends_inside_a_cell", 3, "quoted cell"),
    Case("no last break", ROWS[:-1], AnswerError, "last_line_cut", 3, "line break"),
    Case("cut short", ROWS, TransportError, "cut_short", 3, "cut short", length=500),
    Case(
        "not gzip",
        ROWS,
        AnswerError,
        "unreadable",
        3,
        "decompressed",
        headers=(("Content_Encoding", "gzip"),),
    ),
    Case(
        "redirect",
        "",
        TransportError,
        "redirected",
        1,
        "on to https://other.example.org (HTTP 302)",
        302,
        (("Location", "https://other.example.org/secret/path?Sentinel-Smith"),),
    ),
    Case(
        "redirect in place",
        "",
        TransportError,
        "redirected",
        1,
        "another path of the same host",
        301,
        (("Location", "/redcap/api/"),),
    ),
]
JSON_CASES = [
    Case("cut", '[{"record_id":"1","name":"Sentinel-Sm', AnswerError, "unreadable", 3, "json"),
    Case("cut between rows", '[{"record_id":"1"},', AnswerError, "unreadable", 3, "json"),
    Case("broken within", '[{"record_id":"1",}]', AnswerError, "unreadable", 3, "json"),
    Case("no number", '[{"record_id":"1","weight":NaN}]', AnswerError, "unreadable", 3, "json"),
    Case("blank", "\n", AnswerError, "empty", 3, "empty"),
    Case("an object", '{"record_id":"1"}', AnswerError, "not_as_asked", 3, "list of rows"),
    Case("no objects", '["Sentinel-Smith"]', AnswerError, "not_as_asked", 3, "list of rows"),
    Case("csv instead", ROWS, AnswerError, "unreadable", 3, "json"),
    Case("page", HTML, ServerError, "page_instead_of_data", 3, "web page"),
    Case("error object", '{"error": "No"}', RequestRejectedError, "rejected", 1, "No."),
    Case(
        "fatal then error object",
        FATAL + '{"error":"' + MEMORY + '"}',
        ServerError,
        "out_of_memory",
        1,
        "fewer",
    ),
    Case(
        "rows, then the error object",
        '[{"record_id":"1"}{"error":"' + MEMORY + '"}',
        ServerError,
        "out_of_memory",
        1,
        "fewer",
    ),
]
XML_CASES = [
    Case("cut", "<records><item><record_id>1</rec", AnswerError, "unreadable", 3, "xml"),
    Case("page", "<?xml version='1.0'?><!DOCTYPE html><html></html>", ServerError,
         "page_instead_of_data", 3, "web page"),
    Case("error", "<hash><error><![CDATA[No]]></error></hash>", RequestRejectedError, "rejected",
         1, "No."),
]  # fmt: skip


def assert_nothing_leaks(error: ApiError) -> None:
    """No asked id in what is printed of an error, and no token even where local variables are."""
    assert error.__cause__ is None
    assert error.__context__ is None
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert TOKEN not in "".join(frames.format())
    for text in (str(error), repr(error), "".join(traceback.format_exception(error))):
        assert PATIENT not in text
