"""The rules that look at more than one field: of a form's rows, or of whole records."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.quality.catalogue import (
    ENTRY_LIMITS,
    INSTANCE_GAPS,
    MISPLACED_FORMS,
    MISSING_VALUES,
    ONE_DATA_ACCESS_GROUP,
)
from redcap_dagster.quality.cells import FormRows, to_mask
from redcap_dagster.quality.findings import FindingKind, Found, RowNumbers
from redcap_dagster.quality.options import QualityOptions
from redcap_dagster.quality.study_slice import StudySlice

_MISPLACED = {
    "event_without_instrument": "The event does not use the form",
    "wrong_row_kind": "The form repeats here and the row does not, or the other way round",
    "repeat_instance": "The instance is not a number from 1",
    "unknown_event": "The study has no such event",
    "unknown_repeat_instrument": "The study has no such repeating instrument",
}


def find_in_form(form: FormRows, options: QualityOptions) -> Iterator[Found]:
    """What is wrong with a form's rows as such."""
    name = form.plan.name
    if options.runs(MISSING_VALUES) and options.includes_form_status:
        blank = ~form.opened & options.includes_unopened_forms
        kind = FindingKind(MISSING_VALUES, name, form.plan.status_column, "Blank value")
        yield Found(kind, form.where(blank))
    if options.runs(ENTRY_LIMITS):
        yield from _find_equal_ranks(form)
    if options.runs(INSTANCE_GAPS):
        yield from _find_instance_gaps(form)
    if options.runs(MISPLACED_FORMS):
        yield from _find_misplaced(form)


def _find_equal_ranks(form: FormRows) -> Iterator[Found]:
    """A choice of a ranking matrix that several of its fields hold; a code is no choice."""
    for names in form.plan.ranking_matrices:
        cells = {name: form.cells(form.plan.fields_by_name[name]) for name in names}
        taken = pd.DataFrame(
            {name: item.text.to_pandas() for name, item in cells.items()}, dtype="object"
        )
        doubled = np.zeros(len(form), dtype=np.bool_)
        for place, first in enumerate(names):
            for second in names[place + 1 :]:
                doubled |= (taken[first].notna() & (taken[first] == taken[second])).to_numpy()
        status = "Two fields of a ranking matrix hold the same choice"
        yield Found(
            FindingKind(ENTRY_LIMITS, form.plan.name, names[0], status), form.where(doubled)
        )


def _find_instance_gaps(form: FormRows) -> Iterator[Found]:
    """The first instance after each gap in the numbers 1, 2, 3 … of a record's form and event."""
    rows = form.rows.rows
    is_instance = rows.instances.is_valid()
    if not is_instance.true_count or form.plan.spec.structure == "nonrepeating":
        return
    numbers = np.arange(len(form.rows)) if form.numbers is None else form.numbers
    mine = pc.equal(rows.repeat_instruments, form.plan.name).fill_null(False)
    numbers = numbers[to_mask(pc.and_(is_instance, mine))[numbers]]
    picked = pa.array(numbers)
    frame = pd.DataFrame(
        {
            "record": rows.record_ids.take(picked).dictionary_encode().indices.to_numpy(),
            "event": rows.events.take(picked)
            .dictionary_encode(null_encoding="encode")
            .indices.to_numpy(),
            "instance": rows.instances.take(picked).to_numpy(),
            "row": numbers,
        }
    ).sort_values(["record", "event", "instance"])
    before = frame.groupby(["record", "event"])["instance"].shift(fill_value=0)
    after_gap = frame["row"][frame["instance"] != before + 1].sort_values()
    kind = FindingKind(INSTANCE_GAPS, form.plan.name, None, "An instance before this one is absent")
    yield Found(kind, after_gap.to_numpy(dtype=np.int64))


def _find_misplaced(form: FormRows) -> Iterator[Found]:
    rows, rules = form.rows.misplaced_rows(form.plan.spec)
    for rule in dict.fromkeys(rules):
        is_so = np.array([item == rule for item in rules], dtype=np.bool_)
        kind = FindingKind(MISPLACED_FORMS, form.plan.name, None, _MISPLACED[rule])
        yield Found(kind, rows[is_so])


def find_mixed_groups(rows: StudySlice) -> Iterator[Found]:
    """The first row of each record whose rows name more than one data access group."""
    groups = rows.column("redcap_data_access_group")
    if groups.null_count == len(groups):
        return
    codes = _codes(rows.rows.record_ids)
    frame = pd.DataFrame({"record": codes, "group": _codes(groups)})
    is_mixed = frame.groupby("record")["group"].nunique().to_numpy() > 1
    first = frame.reset_index().groupby("record")["index"].min().to_numpy()
    kind = FindingKind(
        ONE_DATA_ACCESS_GROUP, None, None, "The record's rows name several data access groups"
    )
    yield Found(kind, np.sort(first[is_mixed]).astype(np.int64))


def _codes(texts: pa.Array) -> RowNumbers:
    """A number for each distinct text; a blank has one too."""
    codes: RowNumbers = (
        texts.dictionary_encode(null_encoding="encode").indices.to_numpy().astype(np.int64)
    )
    return codes
