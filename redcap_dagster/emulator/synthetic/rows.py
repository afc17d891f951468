"""Fills made-up records: which rows a record has, and what stands in them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.names import status_column
from redcap_dagster.emulator.odm.rows import IDENTIFIER_COLUMN, LoadedRecord, RowKey
from redcap_dagster.emulator.synthetic.fields import Column

_MOST_INSTANCES = 4
_ABSENT_EVERY = 5
_ROWS_APART = 37


@dataclass(frozen=True)
class Total:
    """A calculated column: the sum of others, blank when one of them is or says why it is not."""

    name: str
    summed: tuple[str, ...]


@dataclass(frozen=True)
class Filling:
    """What fills the rows of a project.

    Attributes:
        columns: The columns of each instrument.
        totals: The calculated column of each instrument that has one.
        id_format: How the number of a record becomes its id.
        no_numbers: The missing data codes and the blank, which cannot be summed.
    """

    columns: Mapping[str, Sequence[Column]]
    totals: Mapping[str, Total]
    id_format: str
    no_numbers: frozenset[str]


def iter_records(design: Design, filling: Filling, count: int) -> Iterator[LoadedRecord]:
    """Yield so many records, the same ones each time."""
    for number in range(1, count + 1):
        record = LoadedRecord(filling.id_format.format(number))
        if design.groups and number % (len(design.groups) + 1):
            record.group = design.groups[number % (len(design.groups) + 1) - 1].unique_name
        for position, (key, forms) in enumerate(_places(design, number)):
            record.rows[key] = _cells(filling, forms, number + position * _ROWS_APART)
        if design.survey_forms:
            first = next(iter(record.rows.values()))
            first[IDENTIFIER_COLUMN] = f"person {number}"
        yield record


def _places(design: Design, number: int) -> Iterator[tuple[RowKey, tuple[str, ...]]]:
    """Yield the rows of a record and the instruments that have values there, base rows first."""
    events = [("", design.forms_of_event(""))] if not design.events else _events(design, number)
    for event, forms in events:
        if not design.repeats_as_event(event):
            plain = tuple(form for form in forms if not design.repeats_as_form(event, form))
            if plain:
                yield RowKey(event, "", 0), plain
    for position, (event, forms) in enumerate(events):
        instances = range(1, (number + position) % _MOST_INSTANCES + 1)
        if design.repeats_as_event(event):
            yield from ((RowKey(event, "", instance), forms) for instance in instances)
        for form in forms:
            if design.repeats_as_form(event, form):
                yield from ((RowKey(event, form, instance), (form,)) for instance in instances)


def _events(design: Design, number: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return the events of a record's arm: always the first, of the others most."""
    arm = design.arms[number % len(design.arms)].number
    of_arm = [event for event in design.events if event.arm_number == arm]
    return [
        (event.unique_name, event.forms)
        for position, event in enumerate(of_arm)
        if not position or (number + position) % _ABSENT_EVERY
    ]


def _cells(filling: Filling, forms: Sequence[str], number: int) -> dict[str, str]:
    cells: dict[str, str] = {}
    for form in forms:
        for column in filling.columns[form]:
            if value := column.value(number):
                cells[column.name] = value
        total = filling.totals.get(form)
        summed = [cells.get(name, "") for name in total.summed] if total else [""]
        if total is not None and not filling.no_numbers.intersection(summed):
            cells[total.name] = str(sum(map(int, summed)))
            # Whatever calculates saves the form.
            cells.setdefault(status_column(form), "0")
    return cells
