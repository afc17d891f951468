"""The pages that show: projects, records, one record, the log."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlencode

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.face.guard import TOKEN_FIELD
from redcap_dagster.emulator.face.html import Html, element, joined, link, table
from redcap_dagster.emulator.face.page import page
from redcap_dagster.emulator.face.places import (
    FORM,
    RECORD,
    Place,
    forms_at,
    place_of,
    places_to_add,
)
from redcap_dagster.emulator.face.rows import (
    RECORDS_ON_A_PAGE,
    ProjectLine,
    form_columns,
    rows_with_form,
)
from redcap_dagster.emulator.records.row import StoredRow

PAGE = "page-number"


def project_address(project_id: int, rest: str = "", query: str = "") -> str:
    """Return the address of a page of a project."""
    return f"/projects/{project_id}{rest}" + (f"?{query}" if query else "")


def table_address(project_id: int, form: str, number: int = 1) -> str:
    """Return the address of a page of the record table."""
    return project_address(project_id, query=urlencode({FORM: form, PAGE: number}))


def record_address(project_id: int, record_id: str) -> str:
    """Return the address of a record."""
    return project_address(project_id, "/record", Place(record_id).query())


def projects_page(lines: Iterable[ProjectLine]) -> str:
    """Return the list of projects; tokens show their last letters."""
    rows = [
        (
            link(line.design.settings.title or "untitled", project_address(line.project_id)),
            str(line.project_id),
            str(line.records),
            str(len(line.design.fields)),
            ", ".join(f"{username}: {token}" for username, token in line.tokens),
        )
        for line in lines
    ]
    if not rows:
        return page("Projects", element("p", "There is no project yet."))
    header = ("Project", "Number", "Records", "Fields", "API tokens")
    return page("Projects", table("Projects and their users", header, rows))


def records_page(
    project_id: int,
    design: Design,
    rows: Sequence[StoredRow],
    form: str,
    *,
    number: int,
    count: int,
) -> str:
    """Return one page of the record table, which shows one instrument."""
    columns = form_columns(design, form)
    shown = [
        (
            link(row.record_id, record_address(project_id, row.record_id)),
            *_place_cells(design, row),
            *(row.cells.get(column.name, column.default) for column in columns),
        )
        for row in rows_with_form(design, rows, form)
    ]
    header = (design.record_id_field, *_place_header(design), *(each.name for each in columns))
    label = next(each.label for each in design.forms if each.name == form)
    return page(
        design.settings.title,
        element(
            "ul",
            element("li", link("Add a record", project_address(project_id, "/new"))),
            element("li", link("Log", project_address(project_id, "/log"))),
            class_="steps",
        ),
        _find_form(project_id),
        _form_links(project_id, design, form),
        table(f"{label}, {count} records", header, shown),
        _steps(project_id, form, number, count),
    )


def record_page(
    project_id: int, design: Design, record_id: str, rows: Sequence[StoredRow], form_token: str
) -> str:
    """Return the page of one record: its rows, what can be added, and its end."""
    taken = {place_of(row) for row in rows}
    there = [
        (place_of(row).label(design), _row_links(project_id, design, row), _statuses(design, row))
        for row in rows
    ]
    more = [
        element(
            "li",
            link(
                place.label(design),
                project_address(project_id, "/row", place.query(forms_at(design, place)[0])),
            ),
        )
        for place in places_to_add(design, record_id, taken)
    ]
    added = (element("h2", "Add"), element("ul", *more)) if more else ()
    return page(
        f"Record {record_id}",
        table("Its data", ("Where", "Change", "Form status"), there),
        *added,
        element(
            "details",
            element("summary", "Delete this record"),
            element("p", "All its data goes, in every event. The log keeps that it was deleted."),
            element(
                "form",
                element("input", type="hidden", name_=TOKEN_FIELD, value=form_token),
                element("input", type="hidden", name_=RECORD, value=record_id),
                element("button", f"Delete record {record_id}", class_="danger"),
                method="post",
                action=project_address(project_id, "/delete"),
            ),
        ),
        trail=((design.settings.title, project_address(project_id)),),
    )


def log_page(
    project_id: int, design: Design, entries: Sequence[tuple[str, str, str, str, str]]
) -> str:
    """Return the newest lines of the log."""
    header = ("Time", "User", "Action", "Record", "Details")
    return page(
        "Log",
        table(f"The newest {len(entries)} lines", header, entries),
        trail=((design.settings.title, project_address(project_id)),),
    )


def _place_header(design: Design) -> list[str]:
    header = ["redcap_event_name"] if design.is_longitudinal else []
    if design.repeats:
        header += ["redcap_repeat_instrument", "redcap_repeat_instance"]
    return header


def _place_cells(design: Design, row: StoredRow) -> list[str]:
    cells = [row.event] if design.is_longitudinal else []
    if design.repeats:
        cells += [row.instrument, str(row.instance or "")]
    return cells


def _find_form(project_id: int) -> Html:
    return element(
        "form",
        element("label", "Go to record ", for_=RECORD),
        element("input", type="text", id=RECORD, name_=RECORD, required=True),
        element("button", "Go"),
        method="get",
        action=project_address(project_id, "/record"),
        role="search",
    )


def _form_links(project_id: int, design: Design, chosen: str) -> Html:
    links = [
        link(
            form.label,
            table_address(project_id, form.name),
            aria_current="page" if form.name == chosen else False,
        )
        for form in design.forms
    ]
    items = (element("li", each) for each in links)
    return element("nav", element("ul", *items), aria_label="Instruments")


def _steps(project_id: int, form: str, number: int, count: int) -> Html:
    steps = []
    if number > 1:
        steps.append(link("Earlier", table_address(project_id, form, number - 1)))
    if number * RECORDS_ON_A_PAGE < count:
        steps.append(link("Later", table_address(project_id, form, number + 1)))
    items = (element("li", each) for each in steps)
    return element("ul", *items, class_="steps") if steps else Html("")


def _row_links(project_id: int, design: Design, row: StoredRow) -> Html:
    place = place_of(row)
    labels: Mapping[str, str] = {form.name: form.label for form in design.forms}
    links = [
        element(
            "li",
            link(labels[form], project_address(project_id, "/row", place.query(form))),
        )
        for form in forms_at(design, place)
    ]
    return element("ul", joined(links), class_="steps")


def _statuses(design: Design, row: StoredRow) -> str:
    statuses = (row.cells.get(f"{form}_complete", "") for form in forms_at(design, place_of(row)))
    return ", ".join(status or "none" for status in statuses)
