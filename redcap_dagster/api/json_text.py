"""JSON that somebody else wrote."""

import json
from typing import Any


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is no JSON, nests deeper than Python follows, or holds a number of thousands
            of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        pass
    raise ValueError("The JSON nests too deep.")
