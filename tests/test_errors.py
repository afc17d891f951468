"""An error comes out of another process as it is, but for what may hold values."""

import pickle
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from redcap_dagster import errors

RAISED = [
    errors.ConfigError("no address"),
    errors.AnswerError("cut short", content="record", status=200, reason="cut_short", attempts=3),
    errors.RateLimitedError("wait", content="log", retry_after_s=2.5),
    errors.RequestRejectedError("refused", content="record", server_message="Zoë is no number"),
    errors.ImportRejectedError("refused", content="record", findings=["age"], server_message="Zoë"),
    errors.DesignError("twice", field="age"),
    errors.LogicSyntaxError("no end", source="[age] >", start=6, end=7),
    errors.ExportError("changed", retryable=True),
    errors.ConservationError("lost"),
    errors.DestinationError("locked", retryable=True),
    errors.UnknownRecordsError([5], 7, "line"),
]


def fail(number: int) -> None:
    raise RAISED[number]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_a_pickled_error_says_the_same_without_what_redcap_said(
    error: errors.RedcapDagsterError,
) -> None:
    pickled = pickle.dumps(error)
    again = pickle.loads(pickled)  # noqa: S301 - our own
    assert type(again) is type(error)
    assert str(again) == str(error)
    said = {"server_message": ""} if hasattr(error, "server_message") else {}
    assert vars(again) == {**vars(error), **said}
    assert "Zoë".encode() not in pickled


def test_an_error_comes_out_of_a_pool_of_processes() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(errors.RequestRejectedError, match="refused") as raised:
            pool.submit(fail, 3).result(timeout=60)
        with pytest.raises(errors.LogicSyntaxError, match="line 1, column 7"):
            pool.submit(fail, 6).result(timeout=60)
    assert "Zoë" not in "".join(traceback.format_exception(raised.value))


def test_a_long_list_of_names_is_cut_and_counted() -> None:
    assert errors.name_some(["age", "sex"], 2) == "age, sex"
    assert errors.name_some(["age", "sex", "bmi", "dob"], 2, "; ") == "age; sex and 2 more"
    assert errors.name_some([], 2) == ""
