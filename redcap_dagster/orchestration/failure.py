"""The only place where this package's errors become Dagster's."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from redcap_dagster.errors import ApiError, DestinationError, ExportError, RedcapDagsterError


@contextmanager
def as_dagster_failure() -> Iterator[None]:
    """Turn this package's errors into `dg.Failure`, which says whether a retry can help."""
    try:
        yield
    except RedcapDagsterError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"error": type(error).__name__},
            allow_retries=isinstance(error, ApiError | DestinationError | ExportError)
            and error.retryable,
        ) from error
