"""What people mistype, named: from the place where parsing stopped to a sentence that helps."""

import re
from dataclasses import dataclass

_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00b4`\u00ab\u00bb"
_BLANKS = "\u00a0\u2007\u202f\u2009\u200a\u2002\u2003\u200b\u200c\u200d\u2060\ufeff"
_OUTSIDE = re.compile(
    r"""(?P<comment>(?m:^)[ \t]*(?:\#|//)[^\n]*)
    |(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<reference>\[[^\[\]\r\n]*\])
    |(?P<open>["'\[(])
    |(?P<close>[\])])""",
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"([A-Za-z_]\w*)")
_LAST_WORD = re.compile(r"(?<![\w\[(])([A-Za-z_]\w*)\s*$")
_COMPARISON = re.compile(r"<>|!=|<=|>=|=|<|>")
_SIGNS = (
    ("===", "REDCap compares with one equals sign: write = instead of ===."),
    ("==", "REDCap compares with one equals sign: write = instead of ==."),
    ("&&", "REDCap joins conditions with a word: write and instead of &&."),
    ("||", "REDCap joins conditions with a word: write or instead of ||."),
    ("=>", "Write >= instead of =>."),
    ("=<", "Write <= instead of =<."),
    ("><", "Write <> instead of ><."),
    ("&", "REDCap joins conditions with a word: write and instead of &."),
    ("|", "REDCap joins conditions with a word: write or instead of |."),
    ("!", "REDCap has no !: write <> for different, or not(...)."),
    (";", "REDCap separates arguments with a comma, not with a semicolon."),
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, from which character to which."""

    reason: str
    start: int
    end: int


def find_mistake(text: str, place: int) -> Mistake:
    """Name the mistake that made the parser stop at `place` of `text`.

    Never fails: what is not recognised is called unexpected.
    """
    return (
        _word_processor_sign(text, place)
        or _mistyped_sign(text, place)
        or _blank_between_brackets(text, place)
        or _unbalanced(text)
        or _bare_word(text, place)
        or _chained_comparison(text, place)
        or _thousands_sign(text, place)
        or _unexpected(text, place)
    )


def _word_processor_sign(text: str, place: int) -> Mistake | None:
    sign = text[place : place + 1]
    if sign and sign in _QUOTES:
        return Mistake(
            "This is a typographic quote, pasted from a word processor: write ' or \".",
            place,
            place + 1,
        )
    if sign and sign in _BLANKS:
        return Mistake(
            "This is a non-breaking or invisible blank, pasted from a word processor: "
            "write an ordinary one.",
            place,
            place + 1,
        )
    return None


def _mistyped_sign(text: str, place: int) -> Mistake | None:
    # The parser stops at the second sign where the first is a sign of the language: `==`.
    for start in (place - 1, place):
        for sign, reason in _SIGNS:
            if start >= 0 and len(sign) > place - start and text.startswith(sign, start):
                return Mistake(reason, start, start + len(sign))
    return None


def _unbalanced(text: str) -> Mistake | None:
    opened: list[int] = []
    for found in _OUTSIDE.finditer(text):
        start = found.start()
        sign = found.group()
        if found.lastgroup == "open" and sign != "(":
            what = "bracket" if sign == "[" else "quote"
            return Mistake(f"This {what} is never closed.", start, start + 1)
        if found.lastgroup == "close" and sign == "]":
            return Mistake("This bracket was never opened.", start, start + 1)
        if sign == "(":
            opened.append(start)
        elif sign == ")":
            if not opened:
                return Mistake("This parenthesis was never opened.", start, start + 1)
            opened.pop()
    if opened:
        return Mistake("This parenthesis is never closed.", opened[-1], opened[-1] + 1)
    return None


def _bare_word(text: str, place: int) -> Mistake | None:
    found = _WORD.match(text, place) or _LAST_WORD.search(text[:place])
    if found is None or found[1].lower() in {"and", "or", "not", "true", "false"}:
        return None
    word = found[1]
    return Mistake(
        "This word is no function and no operator: a field's name stands in brackets, "
        f"a text in quotes: [{word}] or '{word}'.",
        found.start(1),
        found.end(1),
    )


def _blank_between_brackets(text: str, place: int) -> Mistake | None:
    before = text[:place].rstrip()
    if text.startswith("[", place) and before.endswith("]"):
        reason = (
            "There is a blank between two bracket pairs, which makes REDCap ignore the first: "
            "take it out, or put an operator there."
            if len(before) < place
            else "Two references stand side by side: put an operator between them."
        )
        return Mistake(reason, len(before), place + 1)
    return None


def _chained_comparison(text: str, place: int) -> Mistake | None:
    found = _COMPARISON.match(text, place)
    before = text[:place].rstrip()
    if found and before and before[-1] not in "=<>":
        return Mistake(
            "Comparisons cannot be chained: join two of them with and.", place, found.end()
        )
    return None


def _thousands_sign(text: str, place: int) -> Mistake | None:
    if text.startswith(",", place):
        return Mistake(
            "A comma only separates a function's arguments: numbers are written without "
            "thousands sign and with a decimal point.",
            place,
            place + 1,
        )
    return None


def _unexpected(text: str, place: int) -> Mistake:
    if not text[place:].strip():
        end = len(text.rstrip())
        return Mistake("Something is missing at the end.", end, end + 1)
    if re.match(r"[\[(\"'0-9.]", text[place:]) and re.search(r"[\])\"'0-9]\s*$", text[:place]):
        return Mistake("An operator is missing before this, such as and, or, =.", place, place + 1)
    return Mistake("This is not expected here.", place, place + 1)
