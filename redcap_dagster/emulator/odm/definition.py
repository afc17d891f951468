"""Collects the `Study` part of a REDCap project XML as it stands, without judging it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from redcap_dagster.emulator.errors import ProjectFileError
from redcap_dagster.emulator.odm.events import End, Start


@dataclass
class RawItem:
    """One `ItemDef`: attributes, question text and range bounds."""

    attributes: Mapping[str, str]
    question: str = ""
    choices_id: str = ""
    bounds: dict[str, str] = field(default_factory=dict)


@dataclass
class RawChoices:
    """One `CodeList`: attributes and (code, label) pairs."""

    attributes: Mapping[str, str]
    choices: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class RawForm:
    """One `FormDef` with the ids of its item groups."""

    attributes: Mapping[str, str]
    group_ids: list[str] = field(default_factory=list)


@dataclass
class RawEvent:
    """One `StudyEventDef` with the names of its instruments."""

    attributes: Mapping[str, str]
    form_ids: list[str] = field(default_factory=list)


@dataclass
class RawStudy:
    """Everything between `<Study>` and `</Study>` that a design is made of."""

    root: Mapping[str, str]
    version: Mapping[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    listed: defaultdict[str, list[Mapping[str, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    events: list[RawEvent] = field(default_factory=list)
    forms: list[RawForm] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    items: dict[str, RawItem] = field(default_factory=dict)
    choices: dict[str, RawChoices] = field(default_factory=dict)


def read_root(walk: Iterator[Start | End], name: str) -> Mapping[str, str]:
    """Return the attributes of the root element.

    Raises:
        ProjectFileError: The root is not CDISC ODM as REDCap writes it.
    """
    root = next(walk)
    if not isinstance(root, Start) or root.tag != "ODM":
        raise ProjectFileError(
            f"{name} is not a REDCap project XML: its root element is {root.tag}, not ODM."
        )
    if root.attributes.get("SourceSystem", "REDCap") != "REDCap":
        raise ProjectFileError(f"{name} is CDISC ODM, but it was not written by REDCap.")
    return root.attributes


def read_study(walk: Iterator[Start | End], root: Mapping[str, str], name: str) -> RawStudy:
    """Consume the `Study` element that comes next.

    Raises:
        ProjectFileError: There is no study definition, for instance in a records-only file.
    """
    first = next(walk)
    if not isinstance(first, Start) or first.tag != "Study":
        raise ProjectFileError(
            f"{name} holds no study definition. Load the project's own XML file, and give a file "
            "that holds only records beside it."
        )
    collector = _Collector(RawStudy(root))
    for step in walk:
        if isinstance(step, Start):
            collector.start(step)
        elif step.tag == "Study":
            return collector.study
        else:
            collector.end(step)
    raise ProjectFileError(f"{name} ends inside the study definition: the file is cut off.")


class _Collector:
    def __init__(self, study: RawStudy) -> None:
        self.study = study
        self._path: list[str] = []
        self._group: list[str] = []
        self._item = RawItem({})
        self._choices = RawChoices({})
        self._code = ""
        self._comparator = ""

    def start(self, step: Start) -> None:
        parent = self._path[-1] if self._path else ""
        self._path.append(step.tag)
        if "GlobalVariables" in self._path and step.attributes:
            self.study.listed[step.tag].append(step.attributes)
        elif step.tag == "MetaDataVersion":
            self.study.version = step.attributes
        elif parent == "MetaDataVersion":
            self._define(step)
        else:
            self._refer(step)

    def _define(self, step: Start) -> None:
        attributes = step.attributes
        if step.tag == "StudyEventDef":
            self.study.events.append(RawEvent(attributes))
        elif step.tag == "FormDef":
            self.study.forms.append(RawForm(attributes))
        elif step.tag == "ItemGroupDef":
            self._group = self.study.groups.setdefault(attributes["OID"], [])
        elif step.tag == "ItemDef":
            self._item = RawItem(attributes)
            # A survey's first time stamp is defined twice (seen in 14.7.3): the first one stays.
            self.study.items.setdefault(attributes["OID"], self._item)
        elif step.tag == "CodeList":
            self._choices = RawChoices(attributes)
            self.study.choices[attributes["OID"]] = self._choices

    def _refer(self, step: Start) -> None:
        attributes = step.attributes
        if step.tag == "FormRef":
            self.study.events[-1].form_ids.append(attributes["FormOID"])
        elif step.tag == "ItemGroupRef":
            self.study.forms[-1].group_ids.append(attributes["ItemGroupOID"])
        elif step.tag == "ItemRef":
            self._group.append(attributes["ItemOID"])
        elif step.tag == "CodeListRef":
            self._item.choices_id = attributes["CodeListOID"]
        elif step.tag == "CodeListItem":
            self._code = attributes["CodedValue"]
            self._choices.choices.append((self._code, ""))
        elif step.tag == "RangeCheck":
            self._comparator = attributes["Comparator"]

    def end(self, step: End) -> None:
        self._path.pop()
        parent = self._path[-1] if self._path else ""
        if parent == "GlobalVariables":
            self.study.texts[step.tag] = step.text
        elif step.tag == "CheckValue":
            self._item.bounds[self._comparator] = step.text
        elif step.tag in {"TranslatedText", "redcap:FormattedTranslatedText"}:
            # The formatted text comes second, only where a label holds HTML, and is the real one.
            if parent == "Question":
                self._item.question = step.text
            elif parent == "Decode":
                self._choices.choices[-1] = (self._code, step.text)
