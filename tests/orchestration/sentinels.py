"""Words planted in a study, to look for where no value and no record id may be."""

import re

VALUE = "zqvalue"
RECORD_ID = "zqrecord"


def with_sentinels(project_xml: str) -> str:
    """The study with a sentinel in every record id and field, but ticks, groups and statuses."""
    ids = {
        key: f"{RECORD_ID}{number}"
        for number, key in enumerate(
            dict.fromkeys(re.findall(r'SubjectKey="([^"]*)"', project_xml))
        )
    }

    def replaced(match: re.Match[str]) -> str:
        item, value = match[1], match[2]
        if "participant_id" in item:
            return f'{item} Value="{ids[value]}"'
        if item.endswith('_complete"') or "data_access_group" in item or "___" in item:
            return match[0]
        return f'{item} Value="{VALUE}{match.start()}"'

    planted = re.sub(r'(<ItemData ItemOID="[^"]*")[^>]*? Value="([^"]*)"', replaced, project_xml)
    return re.sub(r'SubjectKey="([^"]*)"', lambda match: f'SubjectKey="{ids[match[1]]}"', planted)
