"""From addresses to pages."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.face.changes import changed_cells, delete_record, save_row
from redcap_dagster.emulator.face.entry import new_record_page, row_page
from redcap_dagster.emulator.face.guard import HEADERS, TOKEN_FIELD, Guard
from redcap_dagster.emulator.face.page import STYLE_ADDRESS
from redcap_dagster.emulator.face.places import FORM, NEW, RECORD, Place, forms_at, place_in
from redcap_dagster.emulator.face.rows import (
    has_project,
    ids_of_page,
    log_lines,
    next_id,
    project_lines,
    rows_of,
    shown_cells,
)
from redcap_dagster.emulator.face.style import STYLE
from redcap_dagster.emulator.face.tables import (
    PAGE,
    log_page,
    project_address,
    projects_page,
    record_address,
    record_page,
    records_page,
)
from redcap_dagster.emulator.forms import form_of
from redcap_dagster.emulator.state.store import Store

Sent = Mapping[str, str]
Answer = Callable[[Request, Sent], Response]
OfProject = Callable[[int, Design, Sent], Response]
_MAX_DIGITS = 10


class Face:
    """The pages of one emulator.

    Args:
        store: The state.
        host: The address the server listens on.
    """

    def __init__(self, store: Store, host: str) -> None:
        self._store = store
        self._guard = Guard(host)

    def routes(self) -> list[Route]:
        """Return the routes of all pages."""
        project = "/projects/{project_id:int}"
        return [
            Route("/", self._guarded(self._projects)),
            Route(STYLE_ADDRESS, self._guarded(_style)),
            Route(project, self._guarded(self._of_project(self._records))),
            Route(f"{project}/record", self._guarded(self._of_project(self._record))),
            Route(f"{project}/log", self._guarded(self._of_project(self._log))),
            Route(f"{project}/row", self._guarded(self._of_project(self._row))),
            Route(f"{project}/new", self._guarded(self._of_project(self._new))),
            Route(f"{project}/row", self._changing(self._save), methods=["POST"]),
            Route(f"{project}/new", self._changing(self._add), methods=["POST"]),
            Route(f"{project}/delete", self._changing(self._delete), methods=["POST"]),
        ]

    def _guarded(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if not self._guard.knows_host(request):
                return _text("This page has another address.", 421)
            response = await run_in_threadpool(answer, request, request.query_params)
            response.headers.update(HEADERS)
            return response

        return endpoint

    def _changing(self, change: OfProject) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if not self._guard.knows_host(request):
                return _text("This page has another address.", 421)
            try:
                async with form_of(request, max_files=0) as form:
                    sent = {name: value for name, value in form.items() if isinstance(value, str)}
            except RequestRefusedError as malformed:
                return _text(malformed.message, 400)
            if not self._guard.may_change(request, sent.get(TOKEN_FIELD, "")):
                return _text("This form is too old, or another page sent it: load it again.", 403)
            response = await run_in_threadpool(self._of_project(change), request, sent)
            response.headers.update(HEADERS)
            return response

        return endpoint

    def _of_project(self, answer: OfProject) -> Answer:
        def answered(request: Request, sent: Sent) -> Response:
            project_id = int(request.path_params["project_id"])
            if not has_project(self._store, project_id):
                return _text("There is no such project.", 404)
            return answer(project_id, self._store.design(project_id), sent)

        return answered

    def _projects(self, _: Request, __: Sent) -> Response:
        return _page(projects_page(project_lines(self._store)))

    def _records(self, project_id: int, design: Design, sent: Sent) -> Response:
        form = sent.get(FORM, design.forms[0].name)
        number = _whole_number(sent.get(PAGE, "1"))
        if form not in design.form_order or not number:
            return _text("There is no such page.", 404)
        record_ids, count = ids_of_page(self._store, project_id, number)
        rows = rows_of(self._store, project_id, record_ids)
        shown = records_page(project_id, design, rows, form, number=number, count=count)
        return _page(shown)

    def _record(self, project_id: int, design: Design, sent: Sent) -> Response:
        record_id = sent.get(RECORD, "")
        rows = rows_of(self._store, project_id, [record_id])
        if not rows:
            return _text("There is no such record.", 404)
        token = self._guard.form_token
        return _page(record_page(project_id, design, record_id, rows, token))

    def _log(self, project_id: int, design: Design, _: Sent) -> Response:
        return _page(log_page(project_id, design, log_lines(self._store, project_id)))

    def _row(self, project_id: int, design: Design, sent: Sent) -> Response:
        place, form = place_in(sent), sent.get(FORM, "")
        if form not in forms_at(design, place):
            return _text("There is no such form.", 404)
        cells = shown_cells(self._store, project_id, design, place)
        token = self._guard.form_token
        return _page(row_page(project_id, design, place, form, cells, form_token=token))

    def _new(self, project_id: int, design: Design, _: Sent) -> Response:
        suggested = next_id(self._store, project_id)
        return _page(new_record_page(project_id, design, suggested, self._guard.form_token))

    def _save(self, project_id: int, design: Design, sent: Sent) -> Response:
        place, form = place_in(sent), sent.get(FORM, "")
        if form not in forms_at(design, place):
            return _text("There is no such form.", 404)
        before = shown_cells(self._store, project_id, design, place)
        changed = changed_cells(design, form, before, sent)
        try:
            save_row(self._store, project_id, {**place.line(design), **changed})
        except RequestRefusedError as refused:
            again = row_page(
                project_id,
                design,
                place,
                form,
                {**before, **changed},
                form_token=self._guard.form_token,
                problem=refused.message,
            )
            return _page(again, 400)
        return _see(record_address(project_id, place.record_id))

    def _add(self, project_id: int, design: Design, sent: Sent) -> Response:
        place = place_in(sent)
        event = place.event or next(iter(design.event_order), "")
        if design.repeats_as_event(event):
            place = Place(place.record_id, event, "", NEW)
        try:
            save_row(self._store, project_id, place.line(design), new=True)
        except RequestRefusedError as refused:
            again = new_record_page(
                project_id,
                design,
                place.record_id,
                self._guard.form_token,
                problem=refused.message,
            )
            return _page(again, 400)
        return _see(record_address(project_id, place.record_id))

    def _delete(self, project_id: int, _: Design, sent: Sent) -> Response:
        delete_record(self._store, project_id, sent.get(RECORD, ""))
        return _see(project_address(project_id))


def _style(_: Request, __: Sent) -> Response:
    return Response(STYLE, media_type="text/css")


def _page(html: str, status: int = 200) -> Response:
    return HTMLResponse(html.encode("utf-8", "replace"), status)


def _text(message: str, status: int) -> Response:
    return PlainTextResponse(message, status)


def _see(address: str) -> Response:
    return RedirectResponse(address, 303)


def _whole_number(text: str) -> int:
    """Return a page number, or 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < _MAX_DIGITS else 0
