"""Edits of the synthetic study, of every kind there is."""

import random
from typing import Any

from redcap_dagster.api import RedcapClient
from redcap_dagster.project import RedcapProject


def ids_of(client: RedcapClient) -> list[str]:
    """Every record that is there now."""
    rows = client.export_records(fields=["participant_id"])
    return sorted({row["participant_id"] for row in rows})


def import_row(client: RedcapClient, row: dict[str, Any]) -> None:
    """Write one row's cells, blank ones too."""
    client.import_records([row], overwrite_behavior="overwrite")


def random_edit(client: RedcapClient, project: RedcapProject, rng: random.Random) -> str:
    """Change something, in one of all the ways there are; says which."""
    record_id = rng.choice(ids_of(client))
    arm = rng.choice([1, 2])
    events = [e.unique_name for e in project.events if e.arm_number == arm]
    groups = [row["unique_group_name"] for row in client.export_data_access_groups()]
    place = {"participant_id": record_id, "redcap_event_name": rng.choice(events)}
    kind = rng.choice(
        ["update", "create", "delete", "rename", "instance", "clear", "group", "file", "arm"]
    )
    if kind == "update":
        visit = f"baseline_arm_{arm}"
        value = f"{rng.uniform(1, 5):.2f}"
        import_row(client, {**place, "redcap_event_name": visit, "fev1_l": value})
    elif kind == "create":
        new = {"participant_id": f"NEW-{rng.randrange(10**6)}"}
        import_row(client, {**new, "redcap_event_name": f"screening_arm_{arm}", "eligible": "1"})
    elif kind == "delete":
        client.delete_records([record_id])
    elif kind == "rename":
        client.rename_record(record_id, f"REN-{rng.randrange(10**6)}")
    elif kind == "instance":
        rows = client.export_records(fields=["participant_id", "med_name"], forms=["medications"])
        row = rng.choice([row for row in rows if row["redcap_repeat_instrument"] == "medications"])
        client.delete_records(
            [row["participant_id"]],
            event=row["redcap_event_name"],
            instrument="medications",
            repeat_instance=int(row["redcap_repeat_instance"]),
        )
    elif kind in {"clear", "arm"}:
        rows = client.export_records(fields=["participant_id"], forms=["demographics"])
        row = rng.choice([row for row in rows if row["redcap_event_name"].startswith("screening")])
        if kind == "clear":
            client.delete_records(
                [row["participant_id"]],
                event=row["redcap_event_name"],
                instrument="demographics",
            )
        else:
            new_id = f"ARM-{rng.randrange(10**6)}"
            client.rename_record(row["participant_id"], new_id, int(row["redcap_event_name"][-1]))
    elif kind == "group":
        group = rng.choice(groups)
        import_row(client, {**place, "redcap_data_access_group": group})
    else:
        event = f"screening_arm_{arm}"
        client.import_file(record_id, "consent_form", b"%PDF", name="c.pdf", event=event)
    return kind
