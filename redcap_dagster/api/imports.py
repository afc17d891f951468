"""Methods that change how a study is set up: structure, groups, users and roles."""

from collections.abc import Sequence

from redcap_dagster.api.parameters import Names, some_names
from redcap_dagster.api.payload import Data, DataFormat
from redcap_dagster.api.writes import Writes


class StudyWrites(Writes):
    """Imports and deletions of everything but records and files. Counts are REDCap's.

    The token's user needs API Import, and the right named for each part: Design for structure,
    Data Access Groups, User Rights. REDCap takes structure only while a project is in development.
    """

    def import_metadata(self, data: Data, data_format: DataFormat | None = None) -> int:
        """Replace the data dictionary. Fields that `data` leaves out are deleted.

        Returns:
            Count of fields.
        """
        return self._import("metadata", data, data_format, action=None)

    def import_arms(
        self, data: Data, data_format: DataFormat | None = None, *, override: bool = False
    ) -> int:
        """Add or rename arms: `arm_num`, `name`.

        Args:
            data: The arms.
            data_format: What a text is written in.
            override: Delete every arm first, with its events and data.
        """
        return self._import("arm", data, data_format, parameters={"override": int(override)})

    def delete_arms(self, arms: Sequence[int]) -> int:
        """Delete arms, with their events and data.

        Args:
            arms: Arm numbers.
        """
        return self._act("arm", {"action": "delete", "arms": some_names("arms", arms)})

    def import_events(
        self, data: Data, data_format: DataFormat | None = None, *, override: bool = False
    ) -> int:
        """Add events (`event_name`, `arm_num`), or change those that `unique_event_name` names.

        Args:
            data: The events.
            data_format: What a text is written in.
            override: Delete every event first, with its data.
        """
        return self._import("event", data, data_format, parameters={"override": int(override)})

    def delete_events(self, events: Names) -> int:
        """Delete events, with their data.

        Args:
            events: Unique event names.
        """
        return self._act("event", {"action": "delete", "events": some_names("events", events)})

    def import_form_event_mappings(self, data: Data, data_format: DataFormat | None = None) -> int:
        """Replace the form-event mapping: `arm_num`, `unique_event_name`, `form`."""
        return self._import("formEventMapping", data, data_format)

    def import_repeating_instruments_events(
        self, data: Data, data_format: DataFormat | None = None
    ) -> int:
        """Replace what repeats: `form_name`, `custom_form_label`; `event_name` if longitudinal.

        A blank `form_name` makes the whole event repeat.
        """
        return self._import("repeatingFormsEvents", data, data_format)

    def import_project_settings(self, data: Data, data_format: DataFormat | None = None) -> int:
        """Change settings of the project, such as `project_title`; one row.

        Returns:
            Count of the settings that were taken.
        """
        return self._import("project_settings", data, data_format, action=None)

    def import_data_access_groups(self, data: Data, data_format: DataFormat | None = None) -> int:
        """Add or rename data access groups: `data_access_group_name`, `unique_group_name`.

        A blank unique name makes a new group.
        """
        return self._import("dag", data, data_format)

    def delete_data_access_groups(self, groups: Names) -> int:
        """Delete data access groups.

        Args:
            groups: Unique group names.
        """
        return self._act("dag", {"action": "delete", "dags": some_names("groups", groups)})

    def switch_data_access_group(self, group: str = "") -> bool:
        """Put the token's user into another of the groups assigned to them.

        Every later call of this user sees that group's records only.

        Args:
            group: Unique group name; "" leaves every group.

        Returns:
            Whether REDCap says that it was done.
        """
        return self._act("dag", {"action": "switch", "dag": group}) == 1

    def import_user_data_access_group_mappings(
        self, data: Data, data_format: DataFormat | None = None
    ) -> int:
        """Put users into groups: `username`, `redcap_data_access_group`; blank takes them out."""
        return self._import("userDagMapping", data, data_format)

    def import_users(self, data: Data, data_format: DataFormat | None = None) -> int:
        """Add users or change their rights; only `username` is required.

        Rights left out are off for a new user and unchanged for others. Rights by instrument
        (`forms`, `forms_export`) are dicts, or `name:code,name:code` in csv.
        """
        return self._import("user", data, data_format, action=None)

    def delete_users(self, users: Names) -> int:
        """Take users out of the project.

        Args:
            users: User names.
        """
        return self._act("user", {"action": "delete", "users": some_names("users", users)})

    def import_user_roles(self, data: Data, data_format: DataFormat | None = None) -> int:
        """Add roles (blank `unique_role_name`) or change them; `role_label` is required."""
        return self._import("userRole", data, data_format, action=None)

    def delete_user_roles(self, roles: Names) -> int:
        """Delete roles.

        Args:
            roles: Unique role names, such as `U-972XH8NKLC`.
        """
        return self._act("userRole", {"action": "delete", "roles": some_names("roles", roles)})

    def import_user_role_mappings(self, data: Data, data_format: DataFormat | None = None) -> int:
        """Give users a role: `username`, `unique_role_name`; blank takes it away."""
        return self._import("userRoleMapping", data, data_format)
