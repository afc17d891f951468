"""What an expression gives: text, number or condition. Known from the tree alone."""

from redcap_dagster.logic.functions import find_function
from redcap_dagster.logic.tree import (
    Call,
    Comparison,
    Junction,
    Kind,
    Node,
    Not,
    Reference,
    Text,
    Truth,
)


def kind_of(node: Node) -> Kind:
    """What a node gives. An `if` gives what both branches give, else text."""
    if isinstance(node, (Text, Reference)):
        return Kind.TEXT
    if isinstance(node, (Comparison, Not, Junction, Truth)):
        return Kind.CONDITION
    if isinstance(node, Call):
        return _call_kind(node)
    return Kind.NUMBER


def _call_kind(node: Call) -> Kind:
    function = find_function(node.name)
    if function is not None and function.result is not None:
        return function.result
    branches = {kind_of(branch) for branch in node.arguments[1:]}
    return branches.pop() if len(branches) == 1 else Kind.TEXT
