"""The tree of a parsed expression: frozen values whose nodes know their place in the text.

Chains (`a and b and c`, `a + b - c`) are one node, so a tree is as deep as its parentheses and
calls, not as long as its text. Two trees are equal when they mean the same: places do not count.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal, TypeAlias

ComparisonOperator = Literal["=", "<>", "<", ">", "<=", ">="]
ArithmeticOperator = Literal["+", "-", "*", "/", "%"]


class Kind(Enum):
    """What an expression gives. Every value can also be read as text, number and condition."""

    TEXT = "text"
    NUMBER = "number"
    CONDITION = "condition"


@dataclass(frozen=True, slots=True)
class Span:
    """A place in the text: from the first character to after the last, counted from 0."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number written without quotes; `text` is how it is written."""

    text: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted text, its escaped quotes resolved."""

    value: str
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Truth:
    """The word `true` or `false`."""

    value: bool
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """`[event][field(code):modifier][instance]` or a smart variable; names in lower case.

    Attributes:
        name: Field, form status, or smart variable (the one with a hyphen in its name).
        event: Unique event name or smart variable before the field, or None.
        code: Choice code of a checkbox as written, or None.
        modifiers: What follows after colons, in order.
        instance: Digits, or a smart variable such as `last-instance`, or None.
    """

    name: str
    span: Span = field(compare=False)
    event: str | None = None
    code: str | None = None
    modifiers: tuple[str, ...] = ()
    instance: str | None = None

    @property
    def is_smart(self) -> bool:
        """Whether it is a smart variable; field names have no hyphen."""
        return "-" in self.name


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; the name in lower case."""

    name: str
    arguments: tuple["Node", ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`first`, then each operator with its operand, from the left: sums, or products."""

    first: "Node"
    rest: tuple[tuple[ArithmeticOperator, "Node"], ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Power:
    """`base ^ exponent`."""

    base: "Node"
    exponent: "Node"
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Sign:
    """`- operand` or `+ operand`."""

    operator: Literal["+", "-"]
    operand: "Node"
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right`; `!=` is held as `<>`."""

    operator: ComparisonOperator
    left: "Node"
    right: "Node"
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """`not operand`."""

    operand: "Node"
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Junction:
    """Two or more conditions joined by `and`, or by `or`."""

    operator: Literal["and", "or"]
    operands: tuple["Node", ...]
    span: Span = field(compare=False)


Node: TypeAlias = (
    Number
    | Text
    | Truth
    | Reference
    | Call
    | Arithmetic
    | Power
    | Sign
    | Comparison
    | Not
    | Junction
)


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed logic: its tree, and the text that the places in the tree refer to."""

    root: Node
    source: str = field(compare=False)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below one, from the left."""
    if isinstance(node, Call):
        return node.arguments
    if isinstance(node, Arithmetic):
        return (node.first, *(operand for _, operand in node.rest))
    if isinstance(node, Power):
        return (node.base, node.exponent)
    if isinstance(node, Comparison):
        return (node.left, node.right)
    if isinstance(node, Junction):
        return node.operands
    if isinstance(node, (Sign, Not)):
        return (node.operand,)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, parents first, from the left."""
    yield node
    for child in children(node):
        yield from walk(child)


def references(expression: Expression) -> tuple[Reference, ...]:
    """Every distinct reference of an expression, in the order of the text."""
    found = (node for node in walk(expression.root) if isinstance(node, Reference))
    return tuple(dict.fromkeys(found))


def rebuild(node: Node, change: Callable[[Node], Node]) -> Node:
    """A copy of a tree in which every node, leaves first, is what `change` makes of it."""
    return change(_with_children(node, [rebuild(child, change) for child in children(node)]))


def _with_children(node: Node, new: list[Node]) -> Node:
    if isinstance(node, Call):
        return replace(node, arguments=tuple(new))
    if isinstance(node, Arithmetic):
        operators = [operator for operator, _ in node.rest]
        return replace(node, first=new[0], rest=tuple(zip(operators, new[1:], strict=True)))
    if isinstance(node, Power):
        return replace(node, base=new[0], exponent=new[1])
    if isinstance(node, Comparison):
        return replace(node, left=new[0], right=new[1])
    if isinstance(node, Junction):
        return replace(node, operands=tuple(new))
    if isinstance(node, (Sign, Not)):
        return replace(node, operand=new[0])
    return node
