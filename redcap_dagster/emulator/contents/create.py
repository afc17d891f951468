"""Creates projects for the owner of a super token."""

from dataclasses import replace

from redcap_dagster.emulator.answers import Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.settings import changed_settings, first_event
from redcap_dagster.emulator.design import Design, Field, Form, Settings
from redcap_dagster.emulator.errors import ProjectFileError, RequestRefusedError
from redcap_dagster.emulator.incoming import incoming_rows, text_rows
from redcap_dagster.emulator.parameters import Parameters
from redcap_dagster.emulator.state.load import ProjectOptions, load_design, load_project
from redcap_dagster.emulator.state.numbers import first_event_id
from redcap_dagster.emulator.state.store import Store
from redcap_dagster.emulator.state.user import User

NO_PERMISSION = RequestRefusedError("You do not have permissions to use the API", status=403)
_NEEDED = ("project_title", "purpose")
# What REDCap calls the account of its first administrator.
_OWNER = "site_admin"
_FORM = Form("form_1", "Form 1")


def create_project(store: Store, parameters: Parameters, body_format: str) -> Text:
    """Create a project from its attributes, and from project XML where `odm` is given.

    Returns:
        The API token of the new project, whose user has every right.

    Raises:
        RequestRefusedError: An attribute is missing or not valid, or the XML cannot be loaded.
    """
    rows = text_rows(incoming_rows(parameters.text("data"), body_format))
    row = rows[0] if rows else {}
    missing = [name for name in _NEEDED if not row.get(name, "").strip()]
    if missing:
        raise RequestRefusedError(f"You must provide some text for '{missing[0]}'.")
    now = store.audit_log.now()

    def with_attributes(design: Design) -> Design:
        return replace(design, settings=changed_settings(design.settings, row))

    options = ProjectOptions(username=_OWNER, creation_time=now, change=with_attributes)
    if "odm" not in parameters:
        longitudinal = row.get("is_longitudinal", "") == "1"
        return _created(
            store,
            load_design(store, lambda number: _design(number, longitudinal=longitudinal), options),
        )
    # As bytes: a text that does not begin with `<` would be taken for the path of a file.
    source = parameters.text("odm").encode("utf-8", "surrogatepass")
    try:
        return _created(store, load_project(store, source, None, options))
    except ProjectFileError as error:
        raise RequestRefusedError(str(error)) from error


def _created(store: Store, user: User) -> Text:
    with store.writing() as connection:
        store.audit_log.write(connection, user, "Manage/Design", "Create project (API)")
    return Text(user.token)


def refuse_without_super_token(_: Call) -> Text:
    """Refuse a project's own token, which creates no project."""
    raise NO_PERMISSION


def _design(project_id: int, *, longitudinal: bool) -> Design:
    """Return what REDCap puts into a new project: one instrument with the record id."""
    settings = Settings(title="", creation_time="", record_autonumbering_enabled=1)
    record_id = Field("record_id", _FORM.name, "text", "Record ID")
    design = Design(settings, forms=(_FORM,), fields=(record_id,))
    if not longitudinal:
        return design
    arms, events = first_event(first_event_id(project_id), (_FORM.name,))
    return replace(design, arms=arms, events=events, longitudinal=True)
