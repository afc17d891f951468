"""Choices as ordered categories, and checkboxes as lists of what was ticked, a column at a time."""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Choice
from redcap_dagster.tables.arrow_types import TEXT, TEXT_LIST
from redcap_dagster.tables.cast import CastColumn
from redcap_dagster.tables.spec import CATEGORIES_FACT

CHOICES_RULE = "choices"
"""The rule that a code breaks that is none of its field's."""


def label_codes(codes: pa.Array, choices: Sequence[Choice]) -> CastColumn:
    """Show codes as an ordered categorical of their labels.

    The categories are all labels of the field, in display order, whatever the codes are. A code
    of none of them is a misfit, and null.
    """
    known = pa.array([choice.code for choice in choices], TEXT)
    places = pc.index_in(codes, known, skip_nulls=True)
    labels = _categorical(places, [choice.label for choice in choices])
    if places.null_count == codes.null_count:
        return CastColumn(labels)
    return CastColumn(labels, pc.and_(pc.is_null(places), pc.is_valid(codes)))


def label_lists(lists: pa.Array, choices: Sequence[Choice]) -> pa.Array:
    """Show lists of codes as lists of their labels; every code has one."""
    known = pa.array([choice.code for choice in choices], TEXT)
    labels = pa.array([choice.label for choice in choices], TEXT)
    values = labels.take(pc.index_in(lists.values, known))
    return pa.ListArray.from_arrays(lists.offsets, values, type=TEXT_LIST, mask=pc.is_null(lists))


def gather_ticks(ticks: Sequence[pa.Array], choices: Sequence[Choice], count: int) -> pa.Array:
    """Gather the 0/1 columns of a checkbox into lists of what was ticked.

    Args:
        ticks: Boolean, one array a choice; null where blank.
        choices: What a list holds for each of them, in display order.
        count: Rows.

    Returns:
        A list a row, empty where nothing was ticked, null where every column is blank.
    """
    if not ticks:
        return pa.nulls(count, TEXT_LIST)
    is_ticked = np.column_stack(
        [array.fill_null(False).to_numpy(zero_copy_only=False) for array in ticks]
    )
    is_blank = np.logical_and.reduce([pc.is_null(array).to_numpy(False) for array in ticks])
    _, places = np.nonzero(is_ticked)
    offsets = np.concatenate([[0], np.cumsum(is_ticked.sum(axis=1))]).astype(np.int32)
    labels = pa.array([choice.label for choice in choices], TEXT)
    return pa.ListArray.from_arrays(
        pa.array(offsets),
        labels.take(pa.array(places)),
        type=TEXT_LIST,
        mask=pa.array(is_blank) if is_blank.any() else None,
    )


def empty_column(field: pa.Field) -> pa.Array:
    """A column of a typed table without rows; a categorical has its categories all the same."""
    if pa.types.is_dictionary(field.type):
        return _categorical(pa.array([], pa.int32()), _categories(field))
    return pa.array([], field.type)


def with_categories(table: pa.Table) -> pa.Table:
    """The table with all categories of each categorical.

    A Parquet file without rows does not keep them, but for the column's metadata.
    """
    if table.num_rows:
        return table
    columns = [empty_column(field) for field in table.schema]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _categories(field: pa.Field) -> list[str]:
    stated: list[str] = json.loads((field.metadata or {}).get(CATEGORIES_FACT.encode(), b"[]"))
    return stated


def _categorical(places: pa.Array, labels: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(places, pa.array(labels, TEXT), ordered=True)
