"""Methods about users, roles and data access groups."""

from redcap_dagster.emulator.contents.call import DATA, Method, Parameter
from redcap_dagster.emulator.contents.groups import (
    delete_groups,
    import_group_mapping,
    import_groups,
    switch_group,
)
from redcap_dagster.emulator.contents.people import (
    export_group_mapping,
    export_groups,
    export_role_mapping,
    export_roles,
    export_users,
)
from redcap_dagster.emulator.contents.roles import delete_roles, import_role_mapping, import_roles
from redcap_dagster.emulator.contents.users import delete_users, import_users

PEOPLE_METHODS: tuple[Method, ...] = (
    Method("user", "export", "Export users", export_users),
    Method("user", "import", "Import users", import_users, (DATA,), formats=()),
    Method("user", "delete", "Delete users", delete_users, (Parameter("users"),), formats=()),
    Method("userRole", "export", "Export user roles", export_roles),
    Method("userRole", "import", "Import user roles", import_roles, (DATA,), formats=()),
    Method(
        "userRole", "delete", "Delete user roles", delete_roles, (Parameter("roles"),), formats=()
    ),
    Method("userRoleMapping", "export", "Export user-role assignments", export_role_mapping),
    Method(
        "userRoleMapping",
        "import",
        "Import user-role assignments",
        import_role_mapping,
        (DATA,),
        formats=(),
    ),
    Method("dag", "export", "Export data access groups", export_groups),
    Method("dag", "import", "Import data access groups", import_groups, (DATA,), formats=()),
    Method(
        "dag",
        "delete",
        "Delete data access groups",
        delete_groups,
        (Parameter("dags"),),
        formats=(),
    ),
    Method(
        "dag",
        "switch",
        "Switch data access group",
        switch_group,
        (Parameter("dag", note="a user may switch to every group"),),
        formats=(),
    ),
    Method(
        "userDagMapping",
        "export",
        "Export user-data-access-group assignments",
        export_group_mapping,
    ),
    Method(
        "userDagMapping",
        "import",
        "Import user-data-access-group assignments",
        import_group_mapping,
        (DATA,),
        formats=(),
    ),
)
