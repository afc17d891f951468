"""What the data dictionary does not hold: arms, events, what repeats, sites, roles, codes."""

from dataclasses import dataclass
from datetime import date, datetime

TITLE = "ASPIRE asthma cohort (synthetic)"
REDCAP_VERSION = "14.7.3"
LAST_CONSENT = date(2025, 5, 30)
DATA_CUT = date(2025, 6, 30)
EXPORTED_AT = datetime(2025, 7, 1, 2, 15)  # noqa: DTZ001 - REDCap writes the server's wall clock

MISSING_DATA_CODES = (
    ("NI", "No information"),
    ("UNK", "Unknown"),
    ("ASKU", "Asked but unknown"),
)


@dataclass(frozen=True, slots=True)
class Site:
    """A study site, which is a data access group in REDCap."""

    number: str
    name: str
    group: str
    opened: date
    share: float


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm of the study."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    """A visit, planned the same way in both arms.

    Attributes:
        stem: Unique event name without `_arm_1`.
        day: Days from screening.
        window: Days a visit may be early or late.
        forms: Instruments filled in at this visit.
    """

    stem: str
    name: str
    day: int
    window: int
    forms: tuple[str, ...]

    def unique_name(self, arm: Arm) -> str:
        """REDCap's unique event name: `baseline_arm_1`."""
        return f"{self.stem}_arm_{arm.number}"


SITES = (
    Site("01", "Harbour Clinic", "harbour_clinic", date(2023, 11, 6), 0.42),
    Site("02", "Lakeside Hospital", "lakeside_hospital", date(2024, 1, 8), 0.34),
    Site("03", "Hillview Centre", "hillview_centre", date(2024, 3, 4), 0.24),
)
ARMS = (Arm(1, "Usual care"), Arm(2, "Add-on biologic"))
EVENTS = (
    Event("screening", "Screening", 0, 0, ("enrolment", "demographics", "medical_history")),
    Event(
        "baseline",
        "Baseline",
        14,
        5,
        ("spirometry", "asthma_control_test", "laboratory", "medications"),
    ),
    Event("month_1", "Month 1", 44, 7, ("spirometry", "adverse_events")),
    Event("month_3", "Month 3", 105, 10, ("spirometry", "asthma_control_test", "adverse_events")),
    Event(
        "month_6",
        "Month 6",
        196,
        14,
        ("spirometry", "asthma_control_test", "laboratory", "adverse_events"),
    ),
    Event(
        "month_12",
        "Month 12",
        379,
        21,
        (
            "spirometry",
            "asthma_control_test",
            "laboratory",
            "adverse_events",
            "study_completion",
        ),
    ),
)
SURVEYS = {"asthma_control_test": "Asthma control test"}
REPEATING = {"medications": "[med_name]", "adverse_events": "[ae_term]"}
"""Repeating instruments, in every event they belong to, and the custom label of an instance."""

ROLES = (("Data manager", "U-410ASPIREDM", "1"), ("Site coordinator", "U-420ASPIRESC", "0"))
"""Name, unique name, and whether the role may see the log."""
