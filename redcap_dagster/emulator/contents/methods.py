"""Every API method REDCap has: the one table that requests and the coverage page are read from."""

from redcap_dagster.emulator.contents.call import Method
from redcap_dagster.emulator.contents.file_methods import FILE_AND_SURVEY_METHODS
from redcap_dagster.emulator.contents.people_methods import PEOPLE_METHODS
from redcap_dagster.emulator.contents.project_methods import PROJECT_METHODS
from redcap_dagster.emulator.contents.record_methods import RECORD_METHODS
from redcap_dagster.emulator.contents.structure_methods import STRUCTURE_METHODS

METHODS: tuple[Method, ...] = (
    *PROJECT_METHODS,
    *STRUCTURE_METHODS,
    *RECORD_METHODS,
    *PEOPLE_METHODS,
    *FILE_AND_SURVEY_METHODS,
)
METHODS_BY_NAME = {(method.content, method.action): method for method in METHODS}
CONTENTS = frozenset(method.content for method in METHODS)
