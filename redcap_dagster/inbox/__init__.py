"""An inbox for REDCap's data entry trigger: it hints that something changed, and keeps no values.

`trigger_app` is an ASGI app that takes the POST, `TriggerInbox` the file between it and the change
sensor.
"""

from redcap_dagster.inbox.app import trigger_app
from redcap_dagster.inbox.store import TriggerInbox

__all__ = ["TriggerInbox", "trigger_app"]
