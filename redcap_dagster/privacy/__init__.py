"""De-identification of a study's tables: leave fields out, replace record ids, shift dates.

Everything is decided from the design and `DeidentificationOptions`; `Deidentifier` carries it out
on Arrow tables before they are written.
"""

from redcap_dagster.privacy.options import DEFAULT_KEY_ENV, DeidentificationOptions
from redcap_dagster.privacy.pseudonyms import Pseudonyms
from redcap_dagster.privacy.published import (
    deidentification_fact,
    tables_that_may_stay,
)
from redcap_dagster.privacy.screen import Deidentifier
from redcap_dagster.privacy.treatment import Treatment, Treatments

__all__ = [
    "DEFAULT_KEY_ENV",
    "DeidentificationOptions",
    "Deidentifier",
    "Pseudonyms",
    "Treatment",
    "Treatments",
    "deidentification_fact",
    "tables_that_may_stay",
]
