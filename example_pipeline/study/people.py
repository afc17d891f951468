"""Makes up participants: who they are, where they are seen, and what they bring into the study.

Nobody here exists. Names are plants and placeholders, mail goes to example.org, phone numbers are
from the range that is set aside for fiction (555-0100 to 555-0199).
"""

from dataclasses import dataclass
from datetime import date, timedelta

from example_pipeline.study.design import ARMS, LAST_CONSENT, SITES, Arm, Site
from example_pipeline.study.dice import Dice

FIRST_NAMES = (
    "Aster", "Basil", "Clover", "Dahlia", "Fennel", "Ginger", "Hazel", "Iris", "Juniper", "Kale",
    "Laurel", "Maple", "Nettle", "Olive", "Poppy", "Quince", "Rowan", "Sage", "Tansy", "Violet",
)  # fmt: skip
LAST_NAMES = (
    "Example", "Sample", "Specimen", "Placeholder", "Fictional", "Mockup", "Invented", "O'Nobody",
    "Testperson", "de Muster", "Loremipsum", "Imaginary",
)  # fmt: skip
SCREEN_FAILURE_SHARE = 0.06
DROPOUT_SHARE = 0.13


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up participant.

    Attributes:
        record_id: `01-007`: site, running number in the order of consent.
        enrolled: Day of enrolment, None after a failed screening.
        leaves_after: Days from consent after which the participant is not seen again.
        fev1_predicted: Litres, from height, age and sex.
        fev1_percent: Percent of predicted at baseline, before noise.
    """

    record_id: str
    site: Site
    arm: Arm
    consented: date
    enrolled: date | None
    leaves_after: int | None
    first_name: str
    last_name: str
    phone: str
    born: date
    sex: str
    height_cm: int
    weight_kg: float
    fev1_predicted: float
    fev1_percent: float


def make_people(seed: int, participants: int) -> list[Person]:
    """Made-up participants, ordered by record id."""
    drafts = [_site_and_consent(seed, number) for number in range(participants)]
    people = []
    for site in SITES:
        seen_here = sorted(draft for draft in drafts if draft[0] == site.number)
        for running, (_, consented, number) in enumerate(seen_here, start=1):
            record_id = f"{site.number}-{running:03d}"
            people.append(_person(Dice(seed, f"person {number}"), record_id, site, consented))
    return people


def _site_and_consent(seed: int, number: int) -> tuple[str, date, int]:
    dice = Dice(seed, f"consent {number}")
    share = dice.weighted({site.number: site.share for site in SITES})
    site = next(site for site in SITES if site.number == share)
    return site.number, dice.day(site.opened, LAST_CONSENT), number


def _person(dice: Dice, record_id: str, site: Site, consented: date) -> Person:
    sex = dice.weighted({"F": 0.56, "M": 0.42, "X": 0.02})
    is_tall = sex == "M" or (sex == "X" and dice.chance(0.5))
    height = round(dice.between(177 if is_tall else 164, 7, 142, 204))
    born = date(
        consented.year - round(dice.between(47, 14, 19, 80)),
        dice.integer(1, 12),
        dice.integer(1, 28),
    )
    age = consented.year - born.year
    # Reference equations of the European Coal and Steel Community, 1993.
    predicted = (
        0.0430 * height - 0.029 * age - 2.49 if is_tall else 0.0395 * height - 0.025 * age - 2.60
    )
    is_screen_failure = dice.chance(SCREEN_FAILURE_SHARE)
    return Person(
        record_id=record_id,
        site=site,
        arm=dice.choice(ARMS),
        consented=consented,
        enrolled=None if is_screen_failure else consented + timedelta(days=dice.integer(2, 9)),
        leaves_after=dice.integer(25, 360) if dice.chance(DROPOUT_SHARE) else None,
        first_name=dice.choice(FIRST_NAMES),
        last_name=dice.choice(LAST_NAMES),
        phone=f"({dice.choice((202, 303, 415, 617))}) 555-{dice.integer(100, 199):04d}",
        born=born,
        sex=sex,
        height_cm=height,
        weight_kg=dice.between(26.5, 4.5, 18, 45) * height * height / 10000,
        fev1_predicted=min(max(predicted, 1.2), 6.5),
        fev1_percent=dice.between(66, 11, 35, 95),
    )
