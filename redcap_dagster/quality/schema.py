"""From a study's design to a pandera schema of each instrument table."""

from datetime import date, datetime

import pandera.pandas as pa

from redcap_dagster.project import RedcapProject
from redcap_dagster.quality.moving_bounds import field_bound_checks
from redcap_dagster.quality.options import refuse_time_zone
from redcap_dagster.quality.rules import RuleChoices, UncompiledRule, compile_rules
from redcap_dagster.tables import (
    DEFAULT_TABLE_OPTIONS,
    TableOptions,
    TableSpec,
    plan_tables,
    to_pandas,
)


def build_schema(
    project: RedcapProject,
    instrument: str,
    options: TableOptions = DEFAULT_TABLE_OPTIONS,
    *,
    as_of: date | datetime | None = None,
    decimals: bool = False,
) -> pa.DataFrameSchema:
    """Build the schema of one instrument's typed table, as the frame `to_pandas` makes of it.

    The schema holds dtypes, key columns without nulls, the unique key, and one check per rule of
    the data dictionary, named for the rule:

    - `choices`: a code of the field's choices; a form status of 0, 1 or 2
    - `format:<validation>`: what the text validation type asks for (`format:email`)
    - `range`: the field's minimum and maximum, inclusive, constant or `today` or `now`
    - `range:<field>`: a check over whole rows, for bounds that are another field of the table; a
      blank bound bounds nothing
    - `decimals`: at most the decimals of the validation type, where asked for
    - `events`: an event that uses the instrument

    Every value may be null: REDCap lets a user leave a required field blank, and missing data
    codes became null with the code beside it. Columns beside these are allowed, so that a table
    to which a user added some still fits. `list_uncompiled_rules` names what the schema leaves out.

    Args:
        project: The study's design.
        instrument: Unique name of the instrument.
        options: How the table shows choices and checkboxes. Labels need no check: a code without
            one is a rejected value.
        as_of: What `today` and `now` mean; None for the moment the schema validates.
        decimals: Whether to check decimals. A typed number has lost its trailing zeros, so that
            too many are seen, and too few are not; rule C judges the text.

    Returns:
        An ordinary pandera schema: print it, extend it, validate with it. Its own error messages
        show values of the data; `validate_table` does not.

    Raises:
        ConfigError: `as_of` has a time zone.
        DesignError: The project has no such instrument.
    """
    refuse_time_zone(as_of)
    spec = _plan_table(project, instrument, options)
    dtypes = to_pandas(spec.arrow_schema.empty_table()).dtypes
    events = project.events_of(instrument)
    choices = RuleChoices(as_of, decimals)
    columns = {
        column.name: pa.Column(
            dtypes[column.name],
            checks=[
                rule
                for rule in compile_rules(column, spec, events, choices)
                if isinstance(rule, pa.Check)
            ],
            nullable=column.nullable,
            description=column.description or None,
        )
        for column in spec.columns
    }
    return pa.DataFrameSchema(
        columns,
        checks=list(field_bound_checks(spec)),
        unique=list(spec.key_columns),
        name=spec.name,
        title=spec.label or None,
    )


def list_uncompiled_rules(
    project: RedcapProject, instrument: str, options: TableOptions = DEFAULT_TABLE_OPTIONS
) -> tuple[UncompiledRule, ...]:
    """List the rules of the data dictionary that `build_schema` makes no check of.

    Raises:
        DesignError: The project has no such instrument.
    """
    events = project.events_of(instrument)
    spec = _plan_table(project, instrument, options)
    return tuple(
        rule
        for column in spec.columns
        for rule in compile_rules(column, spec, events, RuleChoices())
        if isinstance(rule, UncompiledRule)
    )


def _plan_table(project: RedcapProject, instrument: str, options: TableOptions) -> TableSpec:
    specs = plan_tables(project, [instrument], options=options)
    return next(spec for spec in specs if spec.instrument == instrument)
