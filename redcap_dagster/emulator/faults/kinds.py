"""The kinds of fault and their options: the one table that specs and the page are read from."""

from dataclasses import dataclass

Value = str | int | float


@dataclass(frozen=True)
class Option:
    """One option of a fault.

    Attributes:
        name: Its name in a spec.
        default: Its value when it is not given; its type is the type of the option.
        note: What it means.
        words: The only values it may have; empty for any.
        needed: Whether it must be given.
    """

    name: str
    default: Value
    note: str
    words: tuple[str, ...] = ()
    needed: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        name: Its name in a spec.
        note: What it does.
        options: What can be said about it, beside which requests it strikes.
    """

    name: str
    note: str
    options: tuple[Option, ...] = ()


SELECTION = (
    Option("content", "", "only requests with this `content`; several are joined with `+`"),
    Option("action", "", "only requests with this `action`; `export` and `import` when none sent"),
    Option("share", 1.0, "share of the requests, 0 to 1; the seed chooses which"),
    Option(
        "seed", 0, "another seed strikes other requests; asking again is another throw of the dice"
    ),
    Option("after", 0, "leaves the first N requests alone"),
    Option("times", 0, "strikes at most N times; 0 has no end"),
)

KINDS = (
    Kind(
        "latency",
        "Answers late.",
        (
            Option("seconds", 0.0, "wait for each request"),
            Option("per_cell", 0.0, "wait in seconds for each row times column of the answer"),
        ),
    ),
    Kind(
        "workers",
        "Has few workers: other requests wait for one to be free.",
        (
            Option("count", 4, "requests in work at once", needed=True),
            Option("queue", -1, "more than N waiting ones are answered 503; -1 has no end"),
        ),
    ),
    Kind(
        "memory",
        "Runs out of memory on large answers.",
        (
            Option("cells", 0, "rows times columns that still fit", needed=True),
            Option(
                "body",
                "fatal",
                "PHP's fatal error, REDCap's error in JSON, the one before the other, or nothing",
                ("fatal", "json", "both", "empty"),
            ),
            Option("status", 200, "HTTP status"),
        ),
    ),
    Kind(
        "rate_limit",
        "Answers 429 above a number of requests a minute and address, as proxies do.",
        (
            Option("requests", 600, "requests a minute that are let through", needed=True),
            Option("retry_after", -1, "seconds in `Retry-After`; -1 leaves the header out"),
        ),
    ),
    Kind(
        "ban",
        "Bans an address for good above a number of requests a minute, as REDCap does.",
        (
            Option("requests", 600, "requests a minute that are let through"),
            Option("status", 200, "HTTP status; no client has told which it is"),
        ),
    ),
    Kind(
        "status",
        "Answers with a web server's error page.",
        (
            Option("code", 503, "HTTP status: 404, 408, 500, 502, 503, 504, …"),
            Option("retry_after", -1, "seconds in `Retry-After`; -1 leaves the header out"),
        ),
    ),
    Kind(
        "page",
        "Answers with a page where data should be.",
        (
            Option("name", "maintenance", "which", ("maintenance", "database", "login")),
            Option("status", 200, "HTTP status"),
        ),
    ),
    Kind(
        "reset",
        "Resets the connection.",
        (
            Option(
                "when",
                "before",
                "before the work, after it was done, or half-way through the body",
                ("before", "after", "during"),
            ),
        ),
    ),
    Kind(
        "cut",
        "Cuts the body and closes the connection.",
        (
            Option("keep", 0.5, "share of the bytes that is sent"),
            Option(
                "framing",
                "length",
                "`length` announces the whole length, `chunked` has no last chunk, `close` tells "
                "no length at all, `whole` announces what is sent: the last two look complete",
                ("length", "chunked", "close", "whole"),
            ),
        ),
    ),
    Kind(
        "short",
        "Leaves part of a list out, in silence.",
        (
            Option("rows", 1, "rows to leave out; -1 is all of them"),
            Option("which", "any", "those the seed chooses, or the last", ("any", "last")),
            Option("columns", 0, "columns to leave out at the end"),
        ),
    ),
    Kind(
        "encoding",
        "Puts bytes that are no UTF-8 into values, as old imports did.",
        (Option("values", 1, "values to spoil; the seed chooses which"),),
    ),
    Kind(
        "clock",
        "Has a clock that is wrong: in the log, in new records and in the header `Date`.",
        (Option("seconds", 3600, "how far ahead; below zero is behind"),),
    ),
    Kind(
        "away",
        "Goes away and comes back: every connection is reset meanwhile.",
        (Option("seconds", 1.0, "how long; begins with the request it strikes"),),
    ),
)
KINDS_BY_NAME = {kind.name: kind for kind in KINDS}
# A clock is wrong whatever is asked, so nothing selects requests for it.
SELECTED_KINDS = frozenset(KINDS_BY_NAME) - {"clock"}


def fault_table() -> str:
    """Return the faults with their options in Markdown."""
    lines = [
        "| fault | what it does | options |",
        "|---|---|---|",
        *(f"| `{kind.name}` | {kind.note} | {_options(kind.options)} |" for kind in KINDS),
        "",
        f"Every fault but `clock` takes {_options(SELECTION)}.",
    ]
    return "\n".join(lines) + "\n"


def _options(options: tuple[Option, ...]) -> str:
    return "; ".join(_option(option) for option in options)


def _option(option: Option) -> str:
    words = f" ({', '.join(f'`{word}`' for word in option.words)})" if option.words else ""
    default = "needed" if option.needed else f"`{option.default}`" if option.default != "" else ""
    ending = f" [{default}]" if default else ""
    return f"`{option.name}` {option.note}{words}{ending}"
