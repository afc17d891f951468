"""Makes the snapshot of the study's design: `python -m example_pipeline.study.snapshot`.

It asks the emulator, with the client, for what `redcap-dagster snapshot` asks a server for.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from example_pipeline.study.generate import STUDY_FILE
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.export import read_design
from redcap_dagster.project import RedcapProject

SNAPSHOT_FILE = STUDY_FILE.with_suffix(".snapshot.json")


def read_study_design(study_file: Path = STUDY_FILE) -> RedcapProject:
    """The design of a project file, as a server that loaded it would tell it."""
    with RedcapEmulator() as redcap:
        token = redcap.add_project(study_file)
        with RedcapClient(redcap.url, token) as client:
            return read_design(client)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, default=STUDY_FILE)
    parser.add_argument("--out", type=Path, default=SNAPSHOT_FILE)
    options = parser.parse_args(arguments)
    project = read_study_design(options.study)
    project.snapshot(options.out)
    print(f"{options.out}: {len(project.instruments)} instruments")  # noqa: T201


if __name__ == "__main__":
    main()
