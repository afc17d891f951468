"""Columns of the methods that answer without any when they have no rows (docs/sources.md#columns).

They are those of current servers: older ones lack some.
"""

ARMS = ("arm_num", "name")
EVENTS = ("event_name", "arm_num", "unique_event_name", "custom_event_label", "event_id")
FORM_EVENT_MAPPINGS = ("arm_num", "unique_event_name", "form")
REPEATING_INSTRUMENTS_EVENTS = ("event_name", "form_name", "custom_form_label")
DATA_ACCESS_GROUPS = ("data_access_group_name", "unique_group_name", "data_access_group_id")
USER_DATA_ACCESS_GROUPS = ("username", "redcap_data_access_group")
USER_ROLES = (
    "unique_role_name",
    "role_label",
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
    "lock_records_customization",
    "lock_records",
    "lock_records_all_forms",
    "forms",
    "forms_export",
)
USER_ROLE_MAPPINGS = ("username", "unique_role_name", "data_access_group")
LOGGING = ("timestamp", "username", "action", "details", "record")
SURVEY_PARTICIPANTS = (
    "email",
    "email_occurrence",
    "identifier",
    "record",
    "invitation_sent_status",
    "invitation_send_time",
    "response_status",
    "survey_access_code",
    "survey_link",
)
FILE_REPOSITORY = ("folder_id", "doc_id", "name", "role", "dag")
