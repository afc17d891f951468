"""The pages that change: a new record, the values of one instrument."""

from collections.abc import Mapping, Sequence

from redcap_dagster.emulator.design import STATUS_CHOICES, Choice, Design, Field
from redcap_dagster.emulator.face.guard import TOKEN_FIELD
from redcap_dagster.emulator.face.html import Html, element
from redcap_dagster.emulator.face.page import notice, page
from redcap_dagster.emulator.face.places import EVENT, FORM, RECORD, Place
from redcap_dagster.emulator.face.rows import form_fields
from redcap_dagster.emulator.face.tables import project_address, record_address
from redcap_dagster.emulator.names import checkbox_column, status_column


def row_page(
    project_id: int,
    design: Design,
    place: Place,
    form: str,
    cells: Mapping[str, str],
    *,
    form_token: str,
    problem: str = "",
) -> str:
    """Return the entry form of one instrument.

    Args:
        project_id: The project.
        design: Its design.
        place: The row.
        form: The instrument.
        cells: What stands in it; file names for documents.
        form_token: The secret of these pages.
        problem: Why it was not saved, or "".
    """
    label = next(each.label for each in design.forms if each.name == form)
    hidden = {
        TOKEN_FIELD: form_token,
        **place.parts(),
        FORM: form,
    }
    status = Field(status_column(form), form, "radio", "Complete?", choices=STATUS_CHOICES)
    fields = (*form_fields(design, form), status)
    return page(
        f"{label}: record {place.record_id}",
        element("p", place.label(design)),
        *((notice(problem, kind="error"),) if problem else ()),
        element(
            "form",
            *(element("input", type="hidden", name_=key, value=hidden[key]) for key in hidden),
            *(_entry(design, entry, cells) for entry in fields),
            element("button", "Save"),
            method="post",
            action=project_address(project_id, "/row"),
        ),
        trail=(
            (design.settings.title, project_address(project_id)),
            (f"Record {place.record_id}", record_address(project_id, place.record_id)),
        ),
    )


def new_record_page(
    project_id: int, design: Design, suggested: str, form_token: str, *, problem: str = ""
) -> str:
    """Return the form that makes a record."""
    events = [Choice(event.unique_name, event.name) for event in design.events]
    return page(
        "Add a record",
        *((notice(problem, kind="error"),) if problem else ()),
        element(
            "form",
            element("input", type="hidden", name_=TOKEN_FIELD, value=form_token),
            _labelled(
                RECORD,
                f"Record id ({design.record_id_field})",
                "",
                element(
                    "input", type="text", id=RECORD, name_=RECORD, value=suggested, required=True
                ),
            ),
            *(
                (_labelled(EVENT, "Event", "", _select(EVENT, events, "", blank=False)),)
                if events
                else ()
            ),
            element("button", "Add"),
            method="post",
            action=project_address(project_id, "/new"),
        ),
        trail=((design.settings.title, project_address(project_id)),),
    )


def _entry(design: Design, entry: Field, cells: Mapping[str, str]) -> Html:
    value = cells.get(entry.name, "")
    hint = " ".join(filter(None, (entry.name, entry.validation, _bounds(entry))))
    if entry.field_type == "checkbox":
        return _boxes(entry, design.checkbox_choices(entry), cells, hint)
    if entry.field_type in {"calc", "file"}:
        why = "calculated" if entry.field_type == "calc" else "a file, through the API"
        control = element(
            "input", type="text", id=entry.name, value=value, readonly=True, aria_readonly="true"
        )
        return _labelled(entry.name, entry.label, f"{entry.name}, {why}", control)
    if entry.value_choices:
        choices = (*entry.value_choices, *design.missing_codes)
        return _labelled(entry.name, entry.label, hint, _select(entry.name, choices, value))
    if entry.field_type == "notes" or "\n" in value:
        # The first line break after the tag is dropped by every browser.
        control = element("textarea", f"\n{value}", id=entry.name, name_=entry.name, rows=4)
        return _labelled(entry.name, entry.label, hint, control)
    control = element("input", type="text", id=entry.name, name_=entry.name, value=value)
    return _labelled(entry.name, entry.label, hint, control)


def _bounds(entry: Field) -> str:
    if not entry.minimum and not entry.maximum:
        return ""
    return f"from {entry.minimum or 'any'} to {entry.maximum or 'any'}"


def _boxes(entry: Field, choices: Sequence[Choice], cells: Mapping[str, str], hint: str) -> Html:
    boxes = [
        element(
            "label",
            element(
                "input",
                type="checkbox",
                name_=checkbox_column(entry.name, choice.code),
                value="1",
                checked=cells.get(checkbox_column(entry.name, choice.code)) == "1",
            ),
            f" {choice.label}",
        )
        for choice in choices
    ]
    return element("fieldset", element("legend", entry.label, element("small", hint)), *boxes)


def _select(name: str, choices: Sequence[Choice], value: str, *, blank: bool = True) -> Html:
    known = {choice.code for choice in choices}
    # A value that is no choice any more stays until a person changes it.
    extra = () if value in known or not value else (Choice(value, "not a choice"),)
    options = [
        element(
            "option",
            f"{choice.code}, {choice.label}",
            value=choice.code,
            selected=choice.code == value,
        )
        for choice in (*extra, *choices)
    ]
    empty = (element("option", "", value=""),) if blank else ()
    return element("select", *empty, *options, id=name, name_=name)


def _labelled(name: str, label: str, hint: str, control: Html) -> Html:
    small = (element("small", hint),) if hint else ()
    return element(
        "div",
        element("label", label or name, *small, for_=name),
        control,
        class_="field",
    )
