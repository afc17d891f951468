"""What arrives where data should be, as clients have reported it (api.md, 2.4 and 2.5)."""

import json

_REDCAP_OUT_OF_MEMORY = json.dumps(
    {
        "error": "REDCap ran out of server memory. The request cannot be processed. Please try "
        "importing/exporting a smaller amount of data."
    },
    separators=(",", ":"),
).replace("/", "\\/")
_PHP_OUT_OF_MEMORY = (
    "<br />\n<b>Fatal error</b>:  Allowed memory size of 2147483648 bytes exhausted (tried to "
    "allocate 72 bytes) in <b>/var/www/html/redcap/redcap_v16.1.4/Classes/Records.php</b> on line "
    "<b>8210</b><br />\n"
)
MEMORY_BODIES = {
    "fatal": _PHP_OUT_OF_MEMORY,
    "json": _REDCAP_OUT_OF_MEMORY,
    "both": _PHP_OUT_OF_MEMORY + _REDCAP_OUT_OF_MEMORY,
    "empty": "",
}
PAGES = {
    "maintenance": (
        "<!DOCTYPE HTML>\n<html><head><title>REDCap</title></head><body>\n"
        "<h3>REDCap is currently offline</h3>\n"
        "<p>REDCap is offline for maintenance. Please come back later.</p>\n</body></html>\n"
    ),
    "database": (
        "The hostname (localhost) / username (redcap) / password (XXXXXX) combination could not "
        "connect to the MySQL server. Please check their values."
    ),
    "login": (
        "<!DOCTYPE HTML>\n<html><head><title>Log In</title></head><body>\n"
        '<form method="post"><label>Username <input name="username"></label>\n'
        '<label>Password <input name="password" type="password"></label></form>\n</body></html>\n'
    ),
}
_TITLES = {
    404: "Not Found",
    408: "Request Timeout",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def status_page(code: int) -> str:
    """Return a web server's page for a status."""
    title = f"{code} {_TITLES.get(code, 'Error')}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1>"
        "</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )


def ban_page(address: str) -> str:
    """Return what a banned address gets on every page."""
    return (
        f"Your IP address ({address}) has been banned due to suspected abuse. If you feel this has "
        "been done in error, please contact your REDCap administrator."
    )
