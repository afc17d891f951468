"""What of REDCap's own texts may be shown."""

import pytest

from redcap_dagster.api.body import TAIL_BYTES, BodyWatch
from redcap_dagster.api.call import Call
from redcap_dagster.api.judge import retry_after_s
from redcap_dagster.api.messages import find_error_message, showable

ASKED = ["Sentinel-Smith", "7", "[name] = 'Jones'"]


@pytest.mark.parametrize(
    "message",
    [
        "You do not have Data Export privileges",
        "You cannot export arms for classic projects",
        'The value of the parameter "content" is not valid',
        """The following values in the parameter "fields" are not valid: 'x', 'weight_2'""",
        (
            "Insufficient user privileges: You must have 'API Export' privileges and "
            "'Data Access Groups' privileges in the project."
        ),
    ],
)
def test_a_message_known_to_hold_names_only_is_shown_as_it_is(message: str) -> None:
    assert showable(message, ASKED) == message


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('The record "-1" does not exist', 'The record "…" does not exist'),
        ("Record sentinel-smith does not exist", "Record … does not exist"),
        ("Patient 12-A was born on 1970-01-01", "Patient … was born on …"),
        ("Error near [name] = 'Jones' at end", 'Error near […] = "…" at end'),
        ("You do not have privileges for Sentinel-Smith", "You do not have privileges for …"),
        ("x" * 600, "x" * 500 + "…"),
        # Seventy seconds, when digits were looked for with a pattern that goes back.
        ("x" * 60_000, "x" * 500 + "…"),
        ("x" * 60_000 + "7", "…"),
    ],
)
def test_in_any_other_message_what_may_be_data_is_masked(message: str, shown: str) -> None:
    assert showable(message, ASKED) == shown


@pytest.mark.parametrize(
    "data",
    [
        '[{"record_id":"1","name":"first\\nM\\u00fcller \\ud835\\udc00da"}]',
        '[{"record_id":"1","name":"M\u00fcller","first":"\U0001d400da"}]',
        "<records><item><name>M&#252;ller</name><first>&#x1d400;da</first></item></records>",
        "record_id,name,first\n1,M\u00fcller,\U0001d400da\n",
    ],
)
def test_words_of_the_data_are_masked_however_they_were_written(data: str) -> None:
    call = Call("record", "text", (("data", data),))

    message = "M\u00fcller is too long, and \U0001d400DA too short"
    assert showable(message, call.asked_words()) == "… is too long, and … too short"


@pytest.mark.parametrize("name", ["users[0]", "user", "records[12]", "filterLogic"])
def test_names_of_people_are_masked(name: str) -> None:
    call = Call("user", "text", ((name, "jsmith"),))

    assert showable("The user jsmith is not there", call.asked_words()) == (
        "The user … is not there"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"error":"a\\/b \\u00e9"}', "a/b é"),
        ("ERROR: a", "a"),
        ("error: a\n", "a"),
        ('<?xml version="1.0" encoding="UTF-8" ?><hash><error>a &lt; b</error></hash>', "a < b"),
        ("<hash>\n<error><![CDATA[a < b]]></error></hash>", "a < b"),
        ('{"error":1}', None),
        ('{"project_id":1}', None),
        ('[{"error":"a"}]', None),
        ('{"error":"a', None),
        ("record_id,name\n1,ERROR: a\n", None),
        ("<html><error>a</error></html>", None),
        ("", None),
    ],
)
def test_an_error_is_found_in_each_of_redcaps_formats(body: str, message: str | None) -> None:
    assert find_error_message(body) == message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        (
            {
                "retry-after": "Mon, 01 Jan 2024 00:01:00 GMT",
                "date": "Mon, 01 Jan 2024 00:00:00 -0000",
            },
            60.0,
        ),
        (
            {
                "retry-after": "Mon, 01 Jan 2024 00:00:00 GMT",
                "date": "Mon, 01 Jan 2024 00:01:00 GMT",
            },
            0.0,
        ),
    ],
)
def test_retry_after_is_read_in_both_spellings(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 100_000])
def test_a_body_is_noted_alike_in_whatever_pieces_it_comes(piece_bytes: int) -> None:
    body = b'\xef\xbb\xbfrecord_id,"name"\n' + b"x" * 5000 + b'"\n'
    watch = BodyWatch()
    pieces = [body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes)]

    written = b"".join([*map(watch.feed, pieces), watch.finish()])

    answer = watch.answer(200, {})
    assert written == body[3:]
    assert (answer.size, answer.has_odd_quotes, answer.head) == (len(body) - 3, True, body[3:])
    assert answer.tail == body[-TAIL_BYTES:]


@pytest.mark.parametrize("body", [b"", b"1", b"\xef\xbb"])
def test_a_body_shorter_than_a_byte_order_mark_comes_out_whole(body: bytes) -> None:
    watch = BodyWatch()

    assert watch.feed(body) + watch.finish() == body
    assert watch.answer(200, {}).size == len(body)
