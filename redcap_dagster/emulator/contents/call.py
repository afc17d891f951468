"""What an API method gets to answer from, and how a method is described."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from redcap_dagster.emulator.answers import Answer
from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.options import ServerOptions
from redcap_dagster.emulator.parameters import Parameters
from redcap_dagster.emulator.state.store import Store
from redcap_dagster.emulator.state.user import Rights, User

ODM = "odm"


@dataclass(frozen=True)
class Call:
    """One request whose token was found good.

    Attributes:
        store: The state.
        user: Whose token it is.
        design: The project's design when the request came.
        parameters: The form fields.
        body_format: What `format` says.
        return_format: What `returnFormat` says, or else `format`.
        delimiter: What `csvDelimiter` says.
        redcap_version: What the server says it is.
        options: How the server behaves where nobody knows.
    """

    store: Store
    user: User
    design: Design
    parameters: Parameters
    body_format: str
    return_format: str
    delimiter: str
    redcap_version: str
    options: ServerOptions

    @cached_property
    def rights(self) -> Rights:
        """What the user may do."""
        return effective_rights(self.design, self.user)

    def known_names(self, parameter: str, known: Collection[str]) -> tuple[str, ...]:
        """Return an array parameter, all of whose entries must be known.

        Raises:
            RequestRefusedError: With REDCap's words for unknown entries.
        """
        asked = self.parameters.names(parameter)
        unknown = [name for name in asked if name not in known]
        if unknown:
            listed = ", ".join(f"'{name}'" for name in unknown)
            raise RequestRefusedError(
                f'The following values in the parameter "{parameter}" are not valid: {listed}'
            )
        return asked


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method, for the coverage table.

    Attributes:
        name: Its name on the wire.
        answered: Whether the emulator does what it asks; otherwise it is refused by name.
        note: What to know about it.
    """

    name: str
    answered: bool = True
    note: str = ""


DATA = Parameter("data", note="csv, json or xml, as `format` says")


@dataclass(frozen=True)
class Method:
    """One API method.

    Attributes:
        content: The value of `content`.
        action: The value of `action`, or "export" for what is meant without one.
        title: What REDCap calls it.
        answer: What answers it, or None when the emulator refuses it by name.
        parameters: What it takes beside token, content, action, format and returnFormat.
        formats: The body formats it answers in; empty when the body is the same in all.
        note: What to know about it.
        odm: Whether `format=odm` is answered too.
    """

    content: str
    action: str
    title: str
    answer: Callable[[Call], Answer] | None = None
    parameters: tuple[Parameter, ...] = ()
    formats: tuple[str, ...] = ("csv", "json", "xml")
    note: str = ""
    odm: bool = False


def effective_rights(design: Design, user: User) -> Rights:
    """Return the role's rights where a user has a role, else the user's own ones."""
    role = next((role for role in design.roles if role.unique_name == user.role), None)
    if role is None:
        return user.own_rights
    return Rights(role.rights, role.forms, role.forms_export)
