"""A user of a project and what the user may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

RIGHTS = (
    "design",
    "alerts",
    "user_rights",
    "data_access_groups",
    "reports",
    "stats_and_charts",
    "manage_survey_participants",
    "calendar",
    "data_import_tool",
    "data_comparison_tool",
    "logging",
    "email_logging",
    "file_repository",
    "data_quality_create",
    "data_quality_execute",
    "api_export",
    "api_import",
    "api_modules",
    "mobile_app",
    "mobile_app_download_data",
    "record_create",
    "record_rename",
    "record_delete",
    "lock_records_all_forms",
    "lock_records",
    "lock_records_customization",
)
RANDOMIZATION_RIGHTS = ("random_setup", "random_dashboard", "random_perform")
EVERY_RIGHT = dict.fromkeys((*RIGHTS, *RANDOMIZATION_RIGHTS), 1)
NO_EXPORT = 0
FULL_EXPORT = 1
DEIDENTIFIED_EXPORT = 2
# 3 is everything but fields flagged as identifiers.


@dataclass(frozen=True)
class Rights:
    """What a user or a role may do.

    Attributes:
        project: Right by REDCap's API name → 0, 1 or more; a right that is not there is 0.
        forms: Instrument → viewing and editing right; one that is not there is 1.
        forms_export: Instrument → export right, 0 none, 1 full, 2 de-identified, 3 without
            identifiers; one that is not there is 1.
    """

    project: Mapping[str, int] = field(default_factory=lambda: dict(EVERY_RIGHT))
    forms: Mapping[str, int] = field(default_factory=dict)
    forms_export: Mapping[str, int] = field(default_factory=dict)

    def may(self, right: str) -> bool:
        """Whether a project right is given."""
        return self.project.get(right, 0) > 0

    def form_right(self, form: str) -> int:
        """Return the viewing and editing right of an instrument."""
        return self.forms.get(form, 1)

    def export_right(self, form: str) -> int:
        """Return the export right of an instrument."""
        return self.forms_export.get(form, FULL_EXPORT)


@dataclass(frozen=True)
class User:
    """A user of one project, as the API token tells.

    Attributes:
        project_id: The project.
        username: The user's name.
        token: The API token; "" for a user who has none.
        data_access_group: Unique name of the group the user sits in, or "".
        role: Unique name of the user's role, or "".
        own_rights: The user's own rights, which count where there is no role.
        expiration: Last day of access, `YYYY-MM-DD`, or "".
    """

    project_id: int
    username: str
    token: str = field(repr=False)
    data_access_group: str = ""
    role: str = ""
    own_rights: Rights = field(default_factory=Rights)
    expiration: str = ""
