"""What was done to one object, in words, and read back from them.

The words are what status, Events and Temporal keep, since people read them there: the worker writes them, the api reads
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kube.objects import ObjectRef

Verb = Literal["create", "change", "replace", "delete"]

_PAST: dict[Verb, str] = {"create": "created", "change": "changed", "replace": "replaced", "delete": "deleted"}
_PRESENT = {past: verb for verb, past in _PAST.items()}
_CHANGE = re.compile(rf"({'|'.join(_PRESENT)}) (\w+) ([^/\s]+)/(\S+)(?: \((.*)\))?")


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """`fields` are the paths at which an object was changed, as far as they were named."""

    verb: Verb
    kind: str
    namespace: str
    name: str
    fields: list[str]


def in_words(verb: Verb, ref: ObjectRef, fields: Iterable[str] = ()) -> str:
    """Say what was done, with the paths of the fields that were changed."""
    named = ", ".join(fields)
    return f"{_PAST[verb]} {ref} ({named})" if named else f"{_PAST[verb]} {ref}"


def from_words(words: str) -> RecordedChange | None:
    """Read it back. None for what is no such change, like that of a finalizer, and for words of another version."""
    found = _CHANGE.fullmatch(words)
    if found is None:
        return None
    verb, kind, namespace, name, fields = found.groups(default="")
    paths = [field for field in fields.split(", ") if field and " " not in field]
    return RecordedChange(_PRESENT[verb], kind, namespace, name, paths)
