"""docs/logic.md says what the code does."""

import doctest
from pathlib import Path

from redcap_dagster.logic import FUNCTIONS, LogicOptions, annotation, check, evaluate, vectorised
from redcap_dagster.logic.smart import SMART_VARIABLES

PAGE = Path(__file__).parents[2] / "docs" / "logic.md"


def function_table() -> str:
    rows = [
        f"| `{function.signature}` | {function.meaning} | {function.footing} |"
        for function in FUNCTIONS.values()
    ]
    return "\n".join(["| function | gives | known |", "|---|---|---|", *rows])


def test_examples_of_the_page_run() -> None:
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 0
    assert found.failed == 0


def test_examples_of_docstrings_run() -> None:
    for module in (annotation, check, evaluate, vectorised):
        found = doctest.testmod(module)
        assert found.attempted > 0
        assert found.failed == 0


def test_the_page_lists_every_function() -> None:
    text = PAGE.read_text(encoding="utf-8")
    listed = text.split("tests/logic/test_docs.py -->")[1].split("<!-- functions end -->")[0]
    assert listed.strip() == function_table()


def test_the_page_names_every_option() -> None:
    text = PAGE.read_text(encoding="utf-8")
    options = LogicOptions.__dataclass_fields__
    assert [name for name in options if f"`{name}`" not in text] == []


def test_the_page_names_every_kind_of_smart_variable() -> None:
    text = PAGE.read_text(encoding="utf-8")
    positional = ("previous-", "next-", "first-", "last-")
    alone = [name for name in SMART_VARIABLES if not name.startswith(positional)]
    assert [name for name in alone if f"[{name}" not in text] == []
