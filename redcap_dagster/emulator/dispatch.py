"""From request parameters to a reply: who asks, for what, in which format."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from redcap_dagster.emulator.answers import (
    CONTENT_TYPES,
    Answer,
    File,
    Markup,
    Table,
    Text,
    body_chunks,
    error_body,
)
from redcap_dagster.emulator.contents.call import ODM, Call, Method
from redcap_dagster.emulator.contents.create import NO_PERMISSION, create_project
from redcap_dagster.emulator.contents.methods import CONTENTS, METHODS_BY_NAME
from redcap_dagster.emulator.contents.rights import require_rights
from redcap_dagster.emulator.contents.told import tell_of_export
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.options import DEFAULT_OPTIONS, ServerOptions
from redcap_dagster.emulator.parameters import Parameters
from redcap_dagster.emulator.state.store import Store

NOT_IMPLEMENTED = RequestRefusedError("The requested method is not implemented.", status=501)
_FORMATS = frozenset({"csv", "json", "xml"})
_DELIMITERS = {"tab": "\t", "\t": "\t", ",": ",", ";": ";", "|": "|", "^": "^"}

Change = Callable[[Table], Table]


def _unchanged(table: Table) -> Table:
    return table


class CountedRows:
    """Hands rows on and counts them."""

    def __init__(self, rows: Iterable[Sequence[Any]] = ()) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        """Yield the rows as they are."""
        for row in self._rows:
            self.count += 1
            yield row


@dataclass(frozen=True)
class Reply:
    """A reply ready to be sent.

    Attributes:
        status: HTTP status.
        content_type: Value of the header.
        chunks: The body in pieces; they are made while they are sent.
        columns: Number of columns of a list, else 0.
        rows: Counts the rows of a list while the body is made.
    """

    status: int
    content_type: str
    chunks: Iterator[bytes]
    columns: int = 0
    rows: CountedRows = field(default_factory=CountedRows)


class Dispatcher:
    """Answers requests from one state.

    Args:
        store: The state.
        redcap_version: What `content=version` answers.
        super_token: A token that may ask for the version and create projects, or None.
        options: How the server behaves where nobody knows.
    """

    def __init__(
        self,
        store: Store,
        redcap_version: str,
        super_token: str | None,
        options: ServerOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._store = store
        self._redcap_version = redcap_version
        self._super_token = super_token
        self._options = options

    def reply(self, parameters: Parameters, change: Change = _unchanged) -> Reply:
        """Answer one POST; what REDCap would refuse becomes its error body.

        Args:
            parameters: The request.
            change: What is done to a list before it is sent.
        """
        try:
            return self._answered(parameters, change)
        except RequestRefusedError as refused:
            return refusal(refused, parameters)

    def _answered(self, parameters: Parameters, change: Change) -> Reply:
        content = parameters.text("content")
        if not content:
            raise NOT_IMPLEMENTED
        if self._is_super(parameters):
            return _reply(self._super_answer(content, parameters), _body_format(parameters), ",")
        user = self._store.user_of(parameters.text("token").strip())
        if user is None:
            raise NO_PERMISSION
        method = _method(content, parameters)
        body_format = _body_format(parameters, method)
        delimiter = _delimiter(parameters)
        if method.answer is None:
            raise RequestRefusedError(
                f"The REDCap emulator does not support content={content} with "
                f"action={method.action} yet."
            )
        call = Call(
            store=self._store,
            user=user,
            design=self._store.design(user.project_id),
            parameters=parameters,
            body_format=body_format,
            return_format=_return_format(parameters),
            delimiter=delimiter,
            redcap_version=self._redcap_version,
            options=self._options,
        )
        require_rights(method, call.rights)
        answer = method.answer(call)
        tell_of_export(call, method)
        if isinstance(answer, Table):
            answer = change(answer)
        return _reply(answer, body_format, delimiter)

    def _super_answer(self, content: str, parameters: Parameters) -> Text:
        if content == "version":
            return Text(self._redcap_version)
        if content == "project" and "data" in parameters:
            return create_project(self._store, parameters, _body_format(parameters))
        raise NO_PERMISSION

    def _is_super(self, parameters: Parameters) -> bool:
        return self._super_token is not None and parameters.text("token") == self._super_token


def refusal(refused: RequestRefusedError, parameters: Parameters) -> Reply:
    """Return a refusal in the format that `returnFormat`, or else `format`, asks for."""
    return_format = _return_format(parameters)
    body = error_body(refused.message, return_format).encode()
    return Reply(refused.status, CONTENT_TYPES[return_format], iter((body,)))


def _return_format(parameters: Parameters) -> str:
    asked = (parameters.word("returnFormat"), parameters.word("format"))
    return next((name for name in asked if name in _FORMATS), "xml")


def _method(content: str, parameters: Parameters) -> Method:
    if content not in CONTENTS:
        raise RequestRefusedError('The value of the parameter "content" is not valid')
    action = parameters.text("action") or ("import" if "data" in parameters else "export")
    method = METHODS_BY_NAME.get((content, action))
    if method is None:
        raise RequestRefusedError('The value of the parameter "action" is not valid')
    return method


def _body_format(parameters: Parameters, method: Method | None = None) -> str:
    body_format = parameters.word("format", "xml")
    if method is not None and method.odm and body_format == ODM:
        return body_format
    if body_format not in _FORMATS:
        raise RequestRefusedError('The value of the parameter "format" is not valid')
    return body_format


def _delimiter(parameters: Parameters) -> str:
    # Not `word`: a tab is a character that trimming would take away.
    asked = parameters.text("csvDelimiter", ",")
    if asked.lower() not in _DELIMITERS:
        raise RequestRefusedError('The value of the parameter "csvDelimiter" is not valid')
    return _DELIMITERS[asked.lower()]


def _reply(answer: Answer, body_format: str, delimiter: str) -> Reply:
    if isinstance(answer, Text):
        content_type = CONTENT_TYPES.get(answer.body_format or body_format, CONTENT_TYPES["xml"])
        return Reply(200, content_type, body_chunks(answer, body_format))
    if isinstance(answer, Markup):
        return Reply(200, CONTENT_TYPES["xml"], body_chunks(answer, body_format))
    if isinstance(answer, File):
        return Reply(200, answer.content_type, body_chunks(answer, body_format))
    content_type = CONTENT_TYPES[body_format]
    rows = CountedRows(answer.rows)
    chunks = body_chunks(replace(answer, rows=rows), body_format, delimiter)
    return Reply(200, content_type, chunks, len(answer.columns), rows)
