"""From the rows of `metadata` and `instrument` to instruments with their fields."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeGuard, get_args

from redcap_dagster.project.answers import AnswerRow, cell_flag, cell_name, cell_text
from redcap_dagster.project.choices import IMPLIED_CHOICES, parse_choices
from redcap_dagster.project.contradictions import Contradiction, join_names
from redcap_dagster.project.model import Choice, DictionaryField, FieldType, Instrument

_TYPES_WITH_WRITTEN_CHOICES = ("dropdown", "radio", "checkbox")


def parse_instruments(
    metadata: Sequence[AnswerRow],
    instruments: Sequence[AnswerRow],
    found: list[Contradiction],
) -> tuple[Instrument, ...]:
    """Parse instruments in the project's order, each with its fields in dictionary order.

    Args:
        metadata: Rows of `metadata`.
        instruments: Rows of `instrument`.
        found: Contradictions are appended here.
    """
    fields = [item for row in metadata if (item := _parse_field(row, found)) is not None]
    labels = {
        cell_name(row, "instrument_name"): cell_name(row, "instrument_label") for row in instruments
    }
    _check_fields(fields, metadata, labels, found)
    fields_of: defaultdict[str, list[DictionaryField]] = defaultdict(list)
    for item in fields:
        fields_of[item.instrument].append(item)
    return tuple(
        Instrument(name, labels.get(name, ""), tuple(fields_of[name]))
        for name in _in_project_order(listed=list(labels), with_fields=list(fields_of))
    )


def _parse_field(row: AnswerRow, found: list[Contradiction]) -> DictionaryField | None:
    name = cell_name(row, "field_name")
    instrument = cell_name(row, "form_name")
    field_type = cell_name(row, "field_type")
    if not name:
        found.append(Contradiction(f"a field of instrument '{instrument}' has no name", instrument))
        return None
    if not _is_field_type(field_type):
        sentence = f"field '{name}' has the unknown type '{field_type}'"
        found.append(Contradiction(sentence, instrument, name))
        return None
    definition = cell_text(row, "select_choices_or_calculations")
    return DictionaryField(
        name=name,
        instrument=instrument,
        field_type=field_type,
        label=cell_text(row, "field_label"),
        choices=_parse_field_choices(name, instrument, field_type, definition, found),
        definition=definition,
        note=cell_text(row, "field_note"),
        validation=cell_name(row, "text_validation_type_or_show_slider_number"),
        minimum=cell_name(row, "text_validation_min"),
        maximum=cell_name(row, "text_validation_max"),
        is_identifier=cell_flag(row, "identifier"),
        branching_logic=cell_text(row, "branching_logic"),
        is_required=cell_flag(row, "required_field"),
        annotation=cell_text(row, "field_annotation"),
        section_header=cell_text(row, "section_header"),
        alignment=cell_name(row, "custom_alignment"),
        question_number=cell_name(row, "question_number"),
        matrix_group=cell_name(row, "matrix_group_name"),
        is_matrix_ranking=cell_flag(row, "matrix_ranking"),
    )


def _is_field_type(text: str) -> TypeGuard[FieldType]:
    return text in get_args(FieldType)


def _parse_field_choices(
    name: str, instrument: str, field_type: FieldType, text: str, found: list[Contradiction]
) -> tuple[Choice, ...]:
    if field_type not in _TYPES_WITH_WRITTEN_CHOICES:
        return IMPLIED_CHOICES.get(field_type, ())
    try:
        return parse_choices(text)
    except ValueError as error:
        found.append(Contradiction(f"field '{name}' {error}", instrument, name))
        return ()


def _check_fields(
    fields: Sequence[DictionaryField],
    metadata: Sequence[AnswerRow],
    listed: Iterable[str],
    found: list[Contradiction],
) -> None:
    if not metadata:
        found.append(Contradiction("the data dictionary has no fields"))
    names = Counter(item.name for item in fields)
    found.extend(
        Contradiction(f"the field name '{name}' is used {uses} times", field=name)
        for name, uses in names.items()
        if uses > 1
    )
    unlisted = dict.fromkeys(item.instrument for item in fields if item.instrument not in listed)
    for instrument in unlisted:
        inside = [item.name for item in fields if item.instrument == instrument]
        sentence = (
            f"{len(inside)} fields ({join_names(inside[:5])}{', …' if inside[5:] else ''}) are in "
            f"instrument '{instrument}', which the project does not list"
        )
        found.append(Contradiction(sentence, instrument))
    if fields and fields[0].field_type != "text":
        first = fields[0]
        sentence = f"the first field '{first.name}' holds the record id and is not of type text"
        found.append(Contradiction(sentence, first.instrument, first.name))


def _in_project_order(listed: list[str], with_fields: list[str]) -> list[str]:
    """Put instruments without a field where the project lists them, if that order can be kept.

    The dictionary's order is the order of an export's columns, so it decides.
    """
    if [name for name in listed if name in with_fields] == with_fields:
        return listed
    return with_fields + [name for name in listed if name not in with_fields]
