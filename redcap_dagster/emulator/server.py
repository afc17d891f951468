"""The HTTP side: one path, POST only, bodies streamed as they are made."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from mimetypes import guess_type

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from redcap_dagster.emulator.asked import AskedRequest
from redcap_dagster.emulator.dispatch import NOT_IMPLEMENTED, Dispatcher, Reply, refusal
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.face.routes import Face
from redcap_dagster.emulator.faults.misbehaviour import Misbehaviour
from redcap_dagster.emulator.forms import form_of
from redcap_dagster.emulator.parameters import Parameters, Upload

API_PATH = "/api/"
_MIME_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_NOT_FOUND = (
    '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n'
    "<title>404 Not Found</title>\n</head><body>\n<h1>Not Found</h1>\n"
    "<p>The requested URL was not found on this server.</p>\n</body></html>\n"
)


def build_app(
    dispatcher: Dispatcher,
    note: Callable[[AskedRequest], None],
    misbehaviour: Misbehaviour,
    face: Face,
) -> Starlette:
    """Build the web application.

    Args:
        dispatcher: What answers.
        note: Called once for each request when its body was made.
        misbehaviour: What answers the requests that faults strike.
        face: The pages for people.
    """

    async def api(request: Request) -> Response:
        if request.method != "POST":
            return _whole(refusal(NOT_IMPLEMENTED, Parameters(())))
        try:
            async with form_of(request, max_files=1) as form:
                parameters = _parameters(form)
                struck = await misbehaviour.answer(
                    request, parameters, partial(dispatcher.reply, parameters)
                )
                if struck is not None:
                    return struck
                return await run_in_threadpool(_respond, dispatcher, note, parameters)
        except RequestRefusedError as malformed:
            return _whole(refusal(malformed, Parameters(())))

    return Starlette(
        routes=[
            Route(API_PATH, api, methods=["GET", "POST", "PUT", "DELETE"]),
            Route(API_PATH.rstrip("/"), _redirect, methods=["GET", "POST"]),
            *face.routes(),
        ],
        exception_handlers={404: _not_found},
    )


def _parameters(form: FormData) -> Parameters:
    pairs: list[tuple[str, str]] = []
    uploads: dict[str, Upload] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            uploads[name] = _upload(value)
        else:
            pairs.append((name, value))
    return Parameters(pairs, uploads)


def _upload(value: UploadFile) -> Upload:
    # A browser of old sent the whole path; REDCap keeps the name.
    name = (value.filename or "").replace("\\", "/").rpartition("/")[2]
    mime_type = value.content_type or ""
    if not _MIME_TYPE.fullmatch(mime_type):
        mime_type = guess_type(name)[0] or "application/octet-stream"
    return Upload(name, mime_type, value.file)


def _respond(
    dispatcher: Dispatcher, note: Callable[[AskedRequest], None], parameters: Parameters
) -> Response:
    reply = dispatcher.reply(parameters)
    first = next(reply.chunks)
    rest = _noted(reply, first, parameters, note)
    second = next(rest, None)
    headers = {"content-type": reply.content_type}
    if second is None:
        return Response(first, reply.status, headers=headers)
    return StreamingResponse(chain((first, second), rest), reply.status, headers=headers)


def _noted(
    reply: Reply, first: bytes, parameters: Parameters, note: Callable[[AskedRequest], None]
) -> Iterator[bytes]:
    size = len(first)
    for chunk in reply.chunks:
        size += len(chunk)
        yield chunk
    note(
        AskedRequest(
            content=parameters.text("content"),
            action=parameters.text("action"),
            status=reply.status,
            columns=reply.columns,
            rows=reply.rows.count,
            records=len(parameters.names("records")) or None,
            body_bytes=size,
        )
    )


def _whole(reply: Reply) -> Response:
    body = b"".join(reply.chunks)
    return Response(body, reply.status, headers={"content-type": reply.content_type})


async def _redirect(request: Request) -> Response:
    return RedirectResponse(request.url.replace(path=API_PATH), status_code=301)


async def _not_found(_: Request, __: Exception) -> Response:
    return HTMLResponse(_NOT_FOUND, status_code=404)
