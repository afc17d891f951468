"""Makes the study file: `python -m example_pipeline.study.generate --out study.xml`.

The same seed and number of participants give the same bytes on every machine.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from example_pipeline.study.dictionary import read_dictionary
from example_pipeline.study.odm import project_xml
from example_pipeline.study.people import make_people
from example_pipeline.study.planted_mistakes import plant_mistakes
from example_pipeline.study.visits import Record, make_record

SEED = 7
PARTICIPANTS = 400
STUDY_FILE = Path(__file__).with_name("asthma_cohort.xml")


def make_records(seed: int = SEED, participants: int = PARTICIPANTS) -> list[Record]:
    """The records of the study, planted mistakes included, ordered by record id.

    Raises:
        TooFewRowsError: Too few participants to hold the planted mistakes.
    """
    records = [make_record(seed, person) for person in make_people(seed, participants)]
    plant_mistakes(seed, records)
    return records


def make_study(seed: int = SEED, participants: int = PARTICIPANTS) -> bytes:
    """The project file, UTF-8."""
    return project_xml(read_dictionary(), make_records(seed, participants)).encode()


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--participants", type=int, default=PARTICIPANTS)
    parser.add_argument("--out", type=Path, default=STUDY_FILE)
    options = parser.parse_args(arguments)
    content = make_study(options.seed, options.participants)
    options.out.write_bytes(content)
    print(f"{options.out}: {options.participants} participants, {len(content)} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
