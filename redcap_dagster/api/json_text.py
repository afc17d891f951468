"""JSON that somebody else wrote."""

import json
from typing import Any, NoReturn


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is no JSON (NaN is none), nests deeper than Python follows, or holds a number
            of thousands of digits.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        pass
    raise ValueError("The JSON nests too deep.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON.")
