"""What a published table becomes in a database."""

import pyarrow as pa
import pytest

from redcap_dagster.destinations.plan import Limits, fitting_name, plain_text, plan_table

LIMITS = Limits("a database", {pa.string(): "text"}, longest_name=20)


@pytest.mark.parametrize(
    ("label", "plain"),
    [
        ("Age <b>at</b>\n  visit", "Age at visit"),
        ("a &lt; b &amp; c", "a < b & c"),
        ("<div>Age</div><div>in years</div>", "Age in years"),
        ("", ""),
    ],
)
def test_a_label_is_plain_text(label: str, plain: str) -> None:
    assert plain_text(label) == plain


def test_names_of_the_same_beginning_stay_apart_and_whole_characters() -> None:
    names = [fitting_name(f"{'é' * 15}{end}", 20) for end in "ab"]
    assert len(set(names)) == 2
    assert all(len(name.encode()) <= 20 and name.startswith("ééééé_") for name in names)


def test_the_key_and_the_comment_are_those_that_the_file_states() -> None:
    schema = pa.schema(
        [("username", pa.string()), ("form", pa.string())],
        {"redcap.key_columns": '["username", "form"]', "redcap.label": "Users"},
    )
    planned = plan_table("users", schema, LIMITS)
    assert (planned.key_columns, planned.comment) == (("username", "form"), "Users")
    assert not planned.is_partitioned
    plain = plan_table("users", schema.remove_metadata(), LIMITS)
    assert (plain.key_columns, plain.comment) == ((), "users")


def test_a_partitioned_table_ends_with_its_partition() -> None:
    schema = pa.schema([("username", pa.string())])
    planned = plan_table("users", schema, LIMITS, is_partitioned=True)
    assert [(item.name, item.source) for item in planned.columns] == [
        ("username", "username"),
        ("redcap_partition", ""),
    ]
