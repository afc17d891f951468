"""Rules that a study wrote itself: a YAML file, or the CSV that REDCap exports for them."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from redcap_dagster.errors import ConfigError
from redcap_dagster.quality.catalogue import QUALITY_RULES, Severity

_CSV_COLUMNS = {"rule_name", "rule_logic"}
_YAML_KEYS = {"name", "logic", "severity", "blocking", "enabled"}


@dataclass(frozen=True, slots=True)
class CustomRule:
    """One custom rule: logic that is true where something is wrong.

    Attributes:
        name: As the file has it; unique in the file.
        logic: In REDCap's logic language. It is evaluated on every row of the study.
        severity: Of what it finds.
        is_blocking: Whether findings keep downstream assets from running.
    """

    name: str
    logic: str
    severity: Severity = "warn"
    is_blocking: bool = False


def read_custom_rules(path: str | Path) -> tuple[CustomRule, ...]:
    """Read a file of custom rules, in its order.

    The CSV is REDCap's own export: `rule_name`, `rule_logic`, `real_time_execution` (which says
    nothing about a pipeline and is not used). The YAML is a list, or a mapping with a list under
    `rules`, of `name`, `logic` and, where wanted, `severity` (`warn`, `error`), `blocking` and
    `enabled`. The logic itself is judged when the study's design is at hand.

    Raises:
        ConfigError: The file is missing or not of this form; says which line or rule.
    """
    path = Path(path)
    text = read_text(path, "custom rules")
    is_csv = path.suffix.lower() == ".csv"
    rules = tuple(_from_csv(path, text) if is_csv else _from_yaml(path, text))
    names = [rule.name for rule in rules]
    doubled = sorted({name for name in names if names.count(name) > 1})
    reserved = sorted(set(names) & QUALITY_RULES.keys())
    if doubled or reserved:
        what = "is there twice" if doubled else "is the name of a built-in rule"
        raise ConfigError(f"Custom rule {(doubled or reserved)[0]!r} in {path} {what}.")
    return rules


def read_text(path: Path, what: str) -> str:
    """The text of a file that a study keeps about its rules.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"There is no file of {what} {path}.") from None
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"The file of {what} {path} cannot be read as UTF-8 text.") from None


class TextLoader(yaml.SafeLoader):
    """Reads every scalar but null as the text it is written as: YAML takes `010` for 8."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def parse_yaml(
    path: Path, text: str, key: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader
) -> list[Any]:
    """The list that a YAML file holds, at its top or under a key.

    Raises:
        ConfigError: It is no YAML, or no list.
    """
    try:
        content = yaml.load(text, loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark is not None else ""
        # The parser's own message quotes the text, which may hold record ids.
        raise ConfigError(f"{path} is no YAML{place}.") from None
    if isinstance(content, dict) and key in content:
        content = content[key]
    if content is None:
        return []
    if not isinstance(content, list):
        raise ConfigError(f"{path} must hold a list, at its top or under `{key}`.")
    return content


def _from_csv(path: Path, text: str) -> Iterable[CustomRule]:
    reader = csv.DictReader(io.StringIO(text))
    lacking = sorted(_CSV_COLUMNS - set(reader.fieldnames or ()))
    if lacking:
        raise ConfigError(
            f"{path} lacks the column {', '.join(lacking)}: REDCap exports custom rules with "
            "rule_name, rule_logic, real_time_execution."
        )
    for row in reader:
        name, logic = (row["rule_name"] or "").strip(), (row["rule_logic"] or "").strip()
        if not name and not logic:
            continue
        if not name or not logic:
            raise ConfigError(f"Line {reader.line_num} of {path} lacks a name or a logic.")
        yield CustomRule(name, logic)


def _from_yaml(path: Path, text: str) -> Iterable[CustomRule]:
    for number, item in enumerate(parse_yaml(path, text, "rules"), start=1):
        rule = _from_mapping(item) if isinstance(item, dict) else None
        if rule is None:
            raise ConfigError(
                f"Rule {number} of {path} must have a name and a logic, both texts; and may have "
                "severity (warn or error), blocking and enabled (true or false)."
            )
        if item.get("enabled", True):
            yield rule


def _from_mapping(item: Mapping[str, Any]) -> CustomRule | None:
    name, logic = item.get("name"), item.get("logic")
    severity: Severity = "error" if item.get("severity") == "error" else "warn"
    is_fit = (
        isinstance(name, str)
        and isinstance(logic, str)
        and item.keys() <= _YAML_KEYS
        and item.get("severity", "warn") in {"warn", "error"}
        and isinstance(item.get("blocking", False), bool)
        and isinstance(item.get("enabled", True), bool)
    )
    if not is_fit or not isinstance(name, str) or not isinstance(logic, str):
        return None
    name, logic = name.strip(), logic.strip()
    if not name or not logic:
        return None
    return CustomRule(name, logic, severity, bool(item.get("blocking", False)))
