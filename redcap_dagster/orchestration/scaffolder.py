"""Writes the first file of a study, for `dg scaffold defs`."""

import dagster as dg

_TEMPLATE = """\
# A REDCap project as Dagster assets. Set the two environment variables, then run
#     dg utils refresh-defs-state
# once, and again when the study's design has changed. Everything below can stay as it is.
type: {type}

attributes:
  # Names of environment variables; the address ends in /api/ .
  api_url_env: REDCAP_API_URL
  api_token_env: REDCAP_API_TOKEN
  key_prefix: {name}
  # out_dir: data/{name}          # folder of the Parquet files; keep it out of version control
  # record_buckets: 16            # stable partitions of the records, for large studies
  # partitions: event            # or arm, or data_access_groups: [north, south]
  # include: [records, instrument, rejected_values, users]
  # table_options: {{choices: labels, checkboxes: list, missing_reasons: true}}
  # quality: {{blocking: [unique_key], custom_rules: rules.yaml}}
  # deidentification: {{}}        # drops, pseudonyms, shifted dates: see docs/privacy.md
  # drift_policy: {{field_removed: block}}
  # reports: [12]                 # saved REDCap reports, by number
  # audit_log_since: "2026-01-01" # the project's log, a partition for each day
  # record_changes_since: "2026-01-01"  # the records that were changed, a partition for each day
  # change_sensor: true           # runs only what changed; turn it on in Dagster's page
  # schedule: "0 3 * * *"         # the whole study, every night
  # freshness: {{fail_after_hours: 36}}  # Dagster's page says when a table is older
  # pool: redcap                  # one export at a time on this server
  # translation:
  #   owners: ["team:clinic"]
"""


class RedcapProjectScaffolder(dg.Scaffolder):
    """Writes a `defs.yaml` that a person can complete in a minute."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Write the file."""
        name = request.target_path.name
        request.target_path.mkdir(parents=True, exist_ok=True)
        (request.target_path / "defs.yaml").write_text(
            _TEMPLATE.format(type=request.type_name, name=name), encoding="utf-8"
        )
