"""Does the faults that strike a request, from its arrival to the last byte of its answer."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from redcap_dagster.emulator.asked import AskedRequest
from redcap_dagster.emulator.connection import transport_of
from redcap_dagster.emulator.counters import Counters
from redcap_dagster.emulator.dispatch import Change, Reply
from redcap_dagster.emulator.faults.fault import Fault
from redcap_dagster.emulator.faults.faults import Faults
from redcap_dagster.emulator.faults.limits import QueueFullError, Workers
from redcap_dagster.emulator.faults.pages import MEMORY_BODIES, PAGES, ban_page, status_page
from redcap_dagster.emulator.faults.responses import CutResponse, Made, ResetResponse
from redcap_dagster.emulator.faults.selection import Arrival
from redcap_dagster.emulator.faults.tables import spoiled, with_odd_bytes
from redcap_dagster.emulator.parameters import Parameters

Work = Callable[[Change], Reply]
_HTML = {"content-type": "text/html; charset=UTF-8"}


class Misbehaviour:
    """Answers requests that faults strike.

    Args:
        faults: What goes wrong.
        counters: Told of waiting times and bans.
        note: Called for each request that is answered here.
    """

    def __init__(
        self, faults: Faults, counters: Counters, note: Callable[[AskedRequest], None]
    ) -> None:
        self._faults = faults
        self._counters = counters
        self._note = note
        self._pools: list[tuple[Fault, Workers]] = []
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Wake whatever waits; called from another thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def answer(self, request: Request, parameters: Parameters, work: Work) -> Response | None:
        """Answer a request, or return None when no fault strikes it and nothing was done.

        Args:
            request: The request.
            parameters: Its parameters.
            work: Makes the right reply, with lists changed on the way.
        """
        self._loop = asyncio.get_running_loop()
        address = request.client.host if request.client else ""
        if self._faults.is_away():
            return self._reset(request, parameters, "away")
        banned = self._faults.ban_status(address)
        if banned is not None:
            return self._banned(parameters, address, banned)
        arrival, struck = self._faults.strike(parameters, address)
        if not struck:
            return None
        for fault in struck:
            refused = self._refused(request, parameters, fault, address)
            if refused is not None:
                return refused
        try:
            made = await self._worked(struck, arrival, work)
        except QueueFullError:
            return self._page(parameters, "workers", 503, status_page(503))
        return self._sent(request, parameters, struck, made)

    def _refused(
        self, request: Request, parameters: Parameters, fault: Fault, address: str
    ) -> Response | None:
        """Do what strikes before any work."""
        if fault.kind == "away":
            self._faults.go_away(fault.number("seconds"))
            return self._reset(request, parameters, fault.kind)
        if fault.kind == "reset" and fault.text("when") == "before":
            return self._reset(request, parameters, fault.kind)
        if fault.kind == "ban" and self._faults.is_over_limit(fault, address):
            self._faults.ban(address, fault.whole("status"))
            return self._banned(parameters, address, fault.whole("status"))
        if fault.kind == "rate_limit" and self._faults.is_over_limit(fault, address):
            return self._told(parameters, fault, address, 429)
        if fault.kind == "status":
            return self._told(parameters, fault, address, fault.whole("code"))
        if fault.kind == "page":
            page = PAGES[fault.text("name")]
            return self._page(parameters, fault.kind, fault.whole("status"), page)
        return None

    async def _worked(self, struck: Sequence[Fault], arrival: Arrival, work: Work) -> Made:
        async with AsyncExitStack() as stack:
            for fault in struck:
                if fault.kind == "workers":
                    await stack.enter_async_context(self._pool(fault).one())
            waits = [fault for fault in struck if fault.kind == "latency"]
            await self._wait(sum(fault.number("seconds") for fault in waits))
            made = await run_in_threadpool(_make, work, struck, arrival)
            await self._wait(made.cells * sum(fault.number("per_cell") for fault in waits))
        return made

    def _sent(
        self, request: Request, parameters: Parameters, struck: Sequence[Fault], made: Made
    ) -> Response:
        for fault in struck:
            if fault.kind == "memory" and made.cells > fault.whole("cells"):
                page = MEMORY_BODIES[fault.text("body")]
                return self._page(parameters, fault.kind, fault.whole("status"), page)
            if fault.kind == "reset":
                half = made if fault.text("when") == "during" else None
                return self._reset(request, parameters, fault.kind, half)
            if fault.kind == "cut":
                return self._cut(request, parameters, fault, made)
        self._noted(parameters, "+".join(fault.kind for fault in struck), made)
        return made.response()

    def _cut(self, request: Request, parameters: Parameters, fault: Fault, made: Made) -> Response:
        kept_bytes = int(len(made.body) * fault.number("keep"))
        kept = replace(made, body=made.body[:kept_bytes])
        self._noted(parameters, fault.kind, kept)
        if fault.text("framing") == "whole":
            return kept.response()
        return CutResponse(transport_of(request), made, kept_bytes, fault.text("framing"))

    def _told(self, parameters: Parameters, fault: Fault, address: str, status: int) -> Response:
        retry_after = fault.whole("retry_after")
        if retry_after < 0:
            return self._page(parameters, fault.kind, status, status_page(status))
        self._counters.told_to_wait(address, retry_after)
        headers = {"retry-after": str(retry_after)}
        return self._page(parameters, fault.kind, status, status_page(status), headers)

    def _banned(self, parameters: Parameters, address: str, status: int) -> Response:
        self._counters.banned()
        return self._page(parameters, "ban", status, ban_page(address))

    def _page(
        self,
        parameters: Parameters,
        kind: str,
        status: int,
        page: str,
        headers: dict[str, str] | None = None,
    ) -> Response:
        made = Made(status, page.encode(), {**_HTML, **(headers or {})})
        self._noted(parameters, kind, made)
        return made.response()

    def _reset(
        self, request: Request, parameters: Parameters, kind: str, made: Made | None = None
    ) -> Response:
        self._noted(parameters, kind, Made(0, b""))
        return ResetResponse(transport_of(request), made)

    def _noted(self, parameters: Parameters, kind: str, made: Made) -> None:
        self._note(
            AskedRequest(
                content=parameters.text("content"),
                action=parameters.text("action"),
                status=made.status,
                columns=made.columns,
                rows=made.rows,
                records=len(parameters.names("records")) or None,
                body_bytes=len(made.body),
                fault=kind,
            )
        )

    def _pool(self, fault: Fault) -> Workers:
        for of_fault, workers in self._pools:
            if of_fault is fault:
                return workers
        workers = Workers(fault.whole("count"), fault.whole("queue"))
        self._pools.append((fault, workers))
        return workers

    async def _wait(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)


def _make(work: Work, struck: Sequence[Fault], arrival: Arrival) -> Made:
    reply = work(lambda table: spoiled(table, struck, arrival))
    body = with_odd_bytes(b"".join(reply.chunks))
    headers = {"content-type": reply.content_type}
    return Made(reply.status, body, headers, reply.columns, reply.rows.count)
