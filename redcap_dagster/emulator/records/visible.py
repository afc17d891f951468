"""What a user's export rights hide from a record export."""

from dataclasses import dataclass

from redcap_dagster.emulator.design import Design, Field
from redcap_dagster.emulator.options import ServerOptions
from redcap_dagster.emulator.state.user import (
    DEIDENTIFIED_EXPORT,
    FULL_EXPORT,
    NO_EXPORT,
    Rights,
)


@dataclass(frozen=True)
class Hidden:
    """What does not come back.

    Attributes:
        forms: Instruments without any column.
        fields: Fields without a column, beside those of these instruments.
        survey_identifier: Whether the survey identifier is hidden.
        record_ids: Whether record ids are replaced by a hash.
    """

    forms: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    survey_identifier: bool = False
    record_ids: bool = False


NOTHING_HIDDEN = Hidden()


def hidden_from(design: Design, rights: Rights, options: ServerOptions) -> Hidden:
    """Return what the export rights of a user hide, instrument by instrument."""
    by_form = {form.name: rights.export_right(form.name) for form in design.forms}
    first = design.fields[0]
    limited = by_form[first.form] not in {NO_EXPORT, FULL_EXPORT}
    hashes = options.hashes_record_ids
    return Hidden(
        forms=frozenset(form for form, right in by_form.items() if right == NO_EXPORT),
        fields=frozenset(
            entry.name
            for entry in design.fields[1:]
            if _is_hidden(entry, by_form[entry.form], options)
        ),
        survey_identifier=any(right != FULL_EXPORT for right in by_form.values()),
        record_ids=limited
        and (hashes == "always" or (hashes == "identifier" and first.identifier)),
    )


def _is_hidden(entry: Field, right: int, options: ServerOptions) -> bool:
    if right == FULL_EXPORT:
        return False
    if entry.identifier or right != DEIDENTIFIED_EXPORT:
        return entry.identifier
    if entry.validation.startswith("date"):
        return options.deidentified_drops_dates
    return entry.field_type == "notes" or (entry.field_type == "text" and not entry.validation)
