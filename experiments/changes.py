"""What was done to one object, in words, and read back from them.

The words are what status, Events and Temporal keep, since people read them there: the worker writes them, the api reads
them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from experiments.plan import Action

Verb = Literal["create", "change", "delete"]

_PAST = {"create": "created", "change": "changed", "delete": "deleted", "add": "added", "remove": "removed"}
_PRESENT = {past: verb for verb, past in _PAST.items()}
_CHANGE = re.compile(r"(created|changed|deleted) (\w+) ([^/\s]+)/(\S+)(?: \((.*)\))?")


@dataclass(frozen=True, slots=True)
class Change:
    """`fields` are the paths at which an object was changed, as far as the plan named them."""

    verb: Verb
    kind: str
    namespace: str
    name: str
    fields: list[str]


def in_words(action: Action) -> str:
    """That `action` is done."""
    verb, _, rest = str(action).partition(" ")
    return f"{_PAST[verb]} {rest}"


def from_words(words: str) -> Change | None:
    """None where they are about a finalizer, or are not of a kind that this version writes."""
    found = _CHANGE.fullmatch(words)
    if found is None:
        return None
    verb, kind, namespace, name, fields = found.groups(default="")
    paths = [field for field in fields.split(", ") if field and " " not in field]
    return Change(cast(Verb, _PRESENT[verb]), kind, namespace, name, paths)
