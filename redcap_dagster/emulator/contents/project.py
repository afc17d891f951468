"""The version, the project's settings, and the next record name."""

from contextlib import closing

from redcap_dagster.emulator.answers import Table, Text
from redcap_dagster.emulator.contents.call import Call


def export_version(call: Call) -> Text:
    """Return the REDCap version the emulator stands for."""
    return Text(call.redcap_version)


def export_project(call: Call) -> Table:
    """Return the project's settings, one row (one object in JSON)."""
    settings = call.design.settings
    info: dict[str, str | int] = {
        "project_id": call.user.project_id,
        "project_title": settings.title,
        "creation_time": settings.creation_time,
        "production_time": settings.production_time,
        "in_production": int(settings.in_production),
        "project_language": settings.project_language,
        "purpose": settings.purpose,
        "purpose_other": settings.purpose_other,
        "project_notes": settings.project_notes,
        "custom_record_label": settings.custom_record_label,
        "secondary_unique_field": settings.secondary_unique_field,
        "is_longitudinal": int(call.design.is_longitudinal),
        "has_repeating_instruments_or_events": int(bool(call.design.repeats)),
        "surveys_enabled": settings.surveys_enabled,
        "scheduling_enabled": settings.scheduling_enabled,
        "record_autonumbering_enabled": settings.record_autonumbering_enabled,
        "randomization_enabled": settings.randomization_enabled,
        "ddp_enabled": 0,
        "project_irb_number": settings.project_irb_number,
        "project_grant_number": settings.project_grant_number,
        "project_pi_firstname": settings.project_pi_firstname,
        "project_pi_lastname": settings.project_pi_lastname,
        "project_pi_email": settings.project_pi_email,
        "display_today_now_button": settings.display_today_now_button,
        "missing_data_codes": " | ".join(
            f"{code.code}, {code.label}" for code in call.design.missing_codes
        ),
        "external_modules": settings.external_modules,
        "bypass_branching_erase_field_prompt": settings.bypass_branching_erase_field_prompt,
    }
    return Table(tuple(info), [tuple(info.values())], single=True)


def generate_next_record_name(call: Call) -> Text:
    """Return the highest number among the record ids plus one, inside the user's group."""
    user = call.user
    with closing(call.store.connect()) as connection:
        found = connection.execute(
            "SELECT record_id FROM record WHERE project_id = ?", (user.project_id,)
        ).fetchall()
    record_ids = [str(record_id) for (record_id,) in found]
    prefix = ""
    if user.data_access_group:
        group = next(
            group for group in call.design.groups if group.unique_name == user.data_access_group
        )
        prefix = f"{group.group_id}-"
    numbers = [
        int(rest)
        for record_id in record_ids
        if record_id.startswith(prefix)
        and (rest := record_id.removeprefix(prefix)).isascii()
        and rest.isdigit()
    ]
    return Text(f"{prefix}{max(numbers, default=0) + 1}")
