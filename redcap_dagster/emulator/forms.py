"""Reads the body of a request as form fields and files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

from redcap_dagster.emulator.errors import RequestRefusedError

_MAX_PARAMETERS = 1_000_000
_MAX_PARAMETER_BYTES = 1 << 28


@asynccontextmanager
async def form_of(request: Request, *, max_files: int) -> AsyncIterator[FormData]:
    """Give the form a request carries; its files are closed when the block ends.

    Raises:
        RequestRefusedError: It is malformed, or holds more files than it may.
    """
    try:
        form = await request.form(
            max_files=max_files, max_fields=_MAX_PARAMETERS, max_part_size=_MAX_PARAMETER_BYTES
        )
    except HTTPException as error:
        raise RequestRefusedError(f"The request cannot be read: {error.detail}") from error
    except FormParserError as error:
        # Starlette 0.44 lets the parser's own error through.
        raise RequestRefusedError("The request cannot be read: it is malformed") from error
    try:
        yield form
    finally:
        await form.close()
