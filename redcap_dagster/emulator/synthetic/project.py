"""A made-up project: its design and its records, the same for the same seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from redcap_dagster.emulator.design import (
    Design,
    Field,
    Form,
    Report,
    Settings,
    Survey,
)
from redcap_dagster.emulator.errors import EmulatorError
from redcap_dagster.emulator.names import status_column, timestamp_column
from redcap_dagster.emulator.odm.rows import LoadedRecord
from redcap_dagster.emulator.synthetic.fields import Column, iter_fields, pool_column
from redcap_dagster.emulator.synthetic.rows import Filling, Total, iter_records
from redcap_dagster.emulator.synthetic.shapes import SHAPES, Plan, Shape, plan_shape

_STATUSES = ("0", "1", "2", "2", "")
_TIMESTAMPS = ("2024-02-29 08:00:00", "2025-07-01 23:59:59", "[not completed]", "")
# What it sums are the second and third field.
_FIELDS_BEFORE_TOTAL = 3
_FIELDS_OF_THE_REPORT = 3


@dataclass(frozen=True)
class SyntheticProject:
    """A made-up project, which `RedcapEmulator.add_project` takes.

    Attributes:
        design: Its design; events, groups and reports are numbered from 1.
        records: How many records it has.
        filling: What fills them.
        name: What tells it from others.
    """

    design: Design
    records: int
    filling: Filling
    name: str

    def __repr__(self) -> str:
        """Its name says all."""
        return f"SyntheticProject({self.name})"

    def iter_records(self) -> Iterator[LoadedRecord]:
        """Yield its records, the same ones each time."""
        return iter_records(self.design, self.filling, self.records)

    def numbered_design(
        self, first_event_id: int, first_group_id: int, first_report_id: int
    ) -> Design:
        """Return its design with its events, groups and report numbered from these numbers on."""
        design = self.design
        events = (
            replace(event, event_id=number)
            for number, event in enumerate(design.events, start=first_event_id)
        )
        groups = (
            replace(group, group_id=number)
            for number, group in enumerate(design.groups, start=first_group_id)
        )
        reports = (
            replace(report, report_id=number)
            for number, report in enumerate(design.reports, start=first_report_id)
        )
        return replace(design, events=tuple(events), groups=tuple(groups), reports=tuple(reports))


def synthetic_project(
    records: int = 100, *, seed: int = 0, shape: Shape = "classic", columns: int | None = None
) -> SyntheticProject:
    """Make up a project.

    Values are valid for their fields, hold what naive readers stumble over (leading zeros, quotes,
    line breaks, letters of many scripts), and are blank here and there. Its instruments hold fields
    of every type but files, in turn; one report shows the first fields of the first instrument.

    Examples:
        token = redcap.add_project(synthetic_project(records=1_000, seed=7, shape="longitudinal"))

    Args:
        records: How many records.
        seed: Another seed has other values.
        shape: `classic`; `longitudinal`, with two arms; `repeating`, with two instruments that
            repeat; `wide`, of 2,000 columns; `survey`; `data_access_groups`; `everything`, with
            repeating events and instruments in two arms, groups, a survey and missing data codes.
        columns: How many columns the flat export has, the record id and form statuses among them,
            columns of events, repeats, groups, surveys and missing data codes not.

    Raises:
        EmulatorError: There is no such shape, or the columns do not suffice for its instruments.
    """
    if shape not in SHAPES:
        raise EmulatorError(f"There is no shape {shape!r}; there are {', '.join(SHAPES)}.")
    plan = plan_shape(shape)
    wanted = plan.columns if columns is None else columns
    chance = random.Random(f"{seed} {shape}")  # noqa: S311 - made up, not secret
    fields = [Field("record_id", plan.forms[0], "text", "Record ID")]
    stored: dict[str, list[Column]] = {}
    totals: dict[str, Total] = {}
    for form, count in zip(plan.forms, _shares(wanted, plan), strict=True):
        has_total = count > _FIELDS_BEFORE_TOTAL
        made = list(iter_fields(form, count - has_total, plan.missing_codes, chance))
        fields += [entry for entry, _ in made]
        stored[form] = [column for _, each in made for column in each]
        if has_total:
            totals[form] = _total(form, fields)
        stored[form] += _form_columns(plan, form, chance)
    return SyntheticProject(
        design=_design(plan, shape, fields),
        records=records,
        filling=Filling(
            columns=stored,
            totals=totals,
            id_format=plan.id_format,
            no_numbers=frozenset({"", *(code.code for code in plan.missing_codes)}),
        ),
        name=f"records={records}, seed={seed}, shape={shape!r}, columns={wanted}",
    )


def _shares(columns: int, plan: Plan) -> list[int]:
    """Return how many columns the fields of each instrument have."""
    forms = len(plan.forms)
    left = columns - 1 - forms
    if left < forms:
        raise EmulatorError(f"A project of {forms} instruments needs {2 * forms + 1} columns.")
    return [left // forms + (position < left % forms) for position in range(forms)]


def _total(form: str, fields: list[Field]) -> Total:
    """Add a calculated field that sums the first two whole numbers of an instrument."""
    whole = (entry.name for entry in fields if entry.form == form and entry.validation == "integer")
    summed = tuple(islice(whole, 2))
    name, formula = f"{form}_total", " + ".join(f"[{entry}]" for entry in summed)
    fields.append(Field(name, form, "calc", "Total", formula=formula))
    return Total(name, summed)


def _form_columns(plan: Plan, form: str, chance: random.Random) -> Iterator[Column]:
    yield pool_column(status_column(form), _STATUSES, chance)
    if form in plan.surveys:
        yield pool_column(timestamp_column(form), _TIMESTAMPS, chance)


def _design(plan: Plan, shape: str, fields: list[Field]) -> Design:
    shown = [entry.name for entry in fields if entry.form == plan.forms[0]][:_FIELDS_OF_THE_REPORT]
    return Design(
        settings=Settings(
            title=f"Synthetic {shape.replace('_', ' ')} study",
            creation_time="2024-01-02 03:04:05",
            surveys_enabled=int(bool(plan.surveys)),
            record_autonumbering_enabled=1,
        ),
        forms=tuple(Form(form, form.replace("_", " ").capitalize()) for form in plan.forms),
        fields=tuple(fields),
        events=plan.events,
        arms=plan.arms,
        repeats=plan.repeats,
        groups=plan.groups,
        survey_forms=plan.surveys,
        surveys=tuple(Survey(form, form, save_and_return=True) for form in plan.surveys),
        reports=(Report(1, "R-SYNTHETIC01", "First fields", tuple(shown)),),
        missing_codes=plan.missing_codes,
        longitudinal=bool(plan.events),
    )
