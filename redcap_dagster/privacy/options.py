"""What a study decides about de-identification, as one frozen value."""

import os
from collections.abc import Collection
from dataclasses import dataclass

from redcap_dagster.errors import ConfigError
from redcap_dagster.project import RedcapProject

DEFAULT_KEY_ENV = "REDCAP_DEIDENTIFICATION_KEY"
_FEWEST_KEY_CHARACTERS = 32


@dataclass(frozen=True, kw_only=True)
class DeidentificationOptions:
    """What is taken out of a study's tables before they are written. By default, all it can.

    Attributes:
        drop_identifiers: Leave out fields flagged as identifiers in the data dictionary, the
            secondary unique field, and survey identifiers.
        drop_free_text: Leave out fields in which a person can write what they like: notes, text
            without a numeric or date format, names of files, sql fields. Where the others hold
            something that does not fit, it is left out too.
        pseudonymize_record_ids: Replace each record id by a keyed digest of it. The same key makes
            the same pseudonym, so that tables, partitions and refreshes join.
        shift_dates: Move all dates and times of a record into the past, by a number of days that
            depends on the key and the record id. Intervals within a record are kept.
        longest_shift_days: Most days a record is moved by; the fewest is 1.
        keep: Fields that are not left out, whatever they are. Their dates are shifted.
        drop: Fields that are left out, whatever they are.
        key_env: Name of the environment variable that holds the key: at least 32 characters. The
            key is read when a run needs it, and is written nowhere.
    """

    drop_identifiers: bool = True
    drop_free_text: bool = True
    pseudonymize_record_ids: bool = True
    shift_dates: bool = True
    longest_shift_days: int = 364
    keep: Collection[str] = ()
    drop: Collection[str] = ()
    key_env: str = DEFAULT_KEY_ENV

    def __post_init__(self) -> None:
        if self.longest_shift_days < 1:
            raise ConfigError("longest_shift_days must be at least 1.")
        both = sorted(set(self.keep) & set(self.drop))
        if both:
            raise ConfigError(f"Fields cannot be both kept and dropped: {', '.join(both)}.")

    @property
    def needs_key(self) -> bool:
        """Whether anything depends on the key."""
        return self.pseudonymize_record_ids or self.shift_dates

    def check_fields(self, project: RedcapProject) -> None:
        """Make sure that `keep` and `drop` name fields of the study.

        Raises:
            ConfigError: A name is none, or the record id is to be dropped.
        """
        unknown = sorted({*self.keep, *self.drop} - project.fields_by_name.keys())
        if unknown:
            raise ConfigError(
                f"De-identification names fields that the study does not have: "
                f"{', '.join(unknown)}."
            )
        if project.record_id_field in self.drop:
            raise ConfigError(
                f"The record id, {project.record_id_field}, cannot be dropped: rows would have no "
                "key. pseudonymize_record_ids replaces it."
            )

    def read_key(self) -> bytes:
        """The key; empty where nothing depends on it.

        Raises:
            ConfigError: The environment has no key, or too short a one.
        """
        if not self.needs_key:
            return b""
        key = os.environ.get(self.key_env, "")
        if len(key) < _FEWEST_KEY_CHARACTERS:
            state = "is not set" if not key else "is too short"
            raise ConfigError(
                f"The environment variable {self.key_env} {state}. De-identification needs a key "
                f"of at least {_FEWEST_KEY_CHARACTERS} random characters, the same in every run."
            )
        return key.encode()
