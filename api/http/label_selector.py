"""Label selectors as the Kubernetes API takes them: `env=prod, tier in (web, batch), !legacy`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_REQUIREMENT = re.compile(
    r"""\s*(?: !\s*(?P<absent>[^\s!=,()]+)
      | (?P<key>[^\s!=,()]+)\s*
        (?: (?P<operator>==|=|!=)\s*(?P<value>[^\s!=,()]*)
          | (?<=\s)(?P<set>in|notin)\s*\((?P<values>[^()]*)\) )?
    )\s*""",
    re.VERBOSE,
)
_COMMA = re.compile(r",(?![^()]*\))")
_LABEL = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"(?:[a-z0-9](?:[-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_LABEL}")
_VALUE = re.compile(rf"(?:{_LABEL})?")


@dataclass(frozen=True, slots=True)
class Requirement:
    """`values` is None where any value will do. What is not `wanted` also holds where the label is missing."""

    key: str
    values: frozenset[str] | None
    wanted: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with these labels meets it."""
        found = self.key in labels and (self.values is None or labels[self.key] in self.values)
        return found == self.wanted


def parse(selector: str) -> list[Requirement]:
    """Read a selector, of which all requirements must hold. Raises ValueError with a sentence."""
    return [_requirement(part) for part in _COMMA.split(selector)] if selector.strip() else []


def _requirement(text: str) -> Requirement:
    match = _REQUIREMENT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"'{text.strip()}' is none of key=value, key!=value, key in (a, b), key notin (a, b), key and !key."
        )
    if absent := match["absent"]:
        return Requirement(_checked(_KEY, absent, "label key"), None, wanted=False)
    key = _checked(_KEY, match["key"], "label key")
    if match["operator"]:
        return Requirement(key, _values(match["value"]), wanted=match["operator"] != "!=")
    if match["set"]:
        return Requirement(key, _values(*match["values"].split(",")), wanted=match["set"] == "in")
    return Requirement(key, None, wanted=True)


def _values(*texts: str) -> frozenset[str]:
    return frozenset(_checked(_VALUE, text.strip(), "label value") for text in texts)


def _checked(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"'{text}' is no {what}.")
    return text
