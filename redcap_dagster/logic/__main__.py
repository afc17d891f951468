"""`python -m redcap_dagster.logic`: run worked examples, or ask what an expression means."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

from redcap_dagster.errors import ConfigError, LogicError
from redcap_dagster.logic.evaluate import evaluate_row
from redcap_dagster.logic.numbers import number_to_text
from redcap_dagster.logic.options import LogicOptions
from redcap_dagster.logic.parser import parse_logic
from redcap_dagster.logic.vectors import read_vectors, run_vector

_BAD_USE = 2
_DATE_LENGTH = len("2024-03-01")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 if everything passed, 1 if something differs or the expression is refused, 2 if the
        command itself cannot be carried out.
    """
    parsed = _parser().parse_args(arguments)
    try:
        if parsed.expr is not None:
            return _explain(parsed.expr, parsed.row, parsed.as_of, parsed.missing_codes)
        return _run(parsed.vectors)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return _BAD_USE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m redcap_dagster.logic",
        description="Run files of worked examples through both evaluators of REDCap logic, or "
        "say what an expression means on a row.",
    )
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("vectors", nargs="*", type=Path, default=[], metavar="VECTORS.json")
    chosen.add_argument("--expr", help='an expression, such as "[age] >= 18"')
    parser.add_argument(
        "--row", type=_row, default={}, help='stored values as JSON, such as {"age": "40"}'
    )
    parser.add_argument("--as-of", type=_as_of, help="what today means, such as 2024-03-01")
    parser.add_argument(
        "--missing-codes", default="", help="the project's missing data codes, such as NASK,UNK"
    )
    return parser


def _row(text: str) -> Mapping[str, str]:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON ({error})") from error
    if not isinstance(row, dict):
        raise argparse.ArgumentTypeError('not a JSON object such as {"age": "40"}')
    return {str(name): "" if value is None else str(value) for name, value in row.items()}


def _as_of(text: str) -> date | datetime:
    try:
        return (
            date.fromisoformat(text) if len(text) == _DATE_LENGTH else datetime.fromisoformat(text)
        )
    except ValueError as error:
        raise argparse.ArgumentTypeError("not a date such as 2024-03-01") from error


def _explain(
    text: str, row: Mapping[str, str], as_of: date | datetime | None, missing_codes: str
) -> int:
    options = LogicOptions(missing_codes=frozenset(missing_codes.split(",")) - {""})
    try:
        value = evaluate_row(parse_logic(text), row, as_of=as_of, options=options)
    except LogicError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    number = "none" if value.number is None else number_to_text(value.number)
    sys.stdout.write(f"condition: {str(value.is_true).lower()}\n")
    sys.stdout.write(f"number: {number}\n")
    sys.stdout.write(f"text: {value.text}\n")
    return 0


def _run(paths: Sequence[Path]) -> int:
    passed = failed = 0
    for path in paths:
        for vector in read_vectors(path):
            differences = list(run_vector(vector))
            if differences:
                found = "\n  ".join(differences)
                sys.stdout.write(f"{vector.vector_id} {vector.expr}\n  {found}\n")
            failed += bool(differences)
            passed += not differences
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
