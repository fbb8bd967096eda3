"""One YAML document, as kubectl takes it: what libyaml finds in the text, put together as go-yaml v2 would.

kubectl's parser is a port of libyaml. Nothing is built before it is counted: an alias counts with all that it stands
for. What a scalar means is in `scalars`, what separates documents in `yaml`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from yaml import (
    AliasEvent,
    DocumentEndEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    YAMLError,
)
from yaml.cyaml import CSafeLoader

from experiments.limits import Budget, TooMuch, check_depth
from experiments.scalars import MERGE_TAG, as_json, as_key, resolve

# kubectl has its own measure of what is excessive: so much of more than so many nodes may come from aliases.
_ALIASES, _NODES, _SHARE = 100, 1000, 0.99
# Directives stand in front of a separator, and where kubectl reads, there is none left. To libyaml, many of them are
# dear: it compares each with all others.
_COLON, _MOST_COLONS = "found unexpected ':'", 20
# What is put in place of such a colon: letters that nobody uses.
_STAND_INS = "\ue000\ue001\ue002\ue003"
_ESCAPED_SLASH = re.compile(r"(?<!\\)(?:\\\\)*+\\/")
_QUOTED = frozenset("'\"|>")
_DIRECTIVE = re.compile(r"(?:\s++|#[^\n]*+|^\.\.\.(?=\s)|\ufeff)*+^%", re.MULTILINE)


class YamlError(ValueError):
    """`str(error)` says where and what is wrong."""


class _UnexpectedColon(Exception):  # noqa: N818 - is cured
    """`a:` in front of a bracket or a comma: a text to go-yaml, and more than libyaml takes."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def compose(text: str, budget: Budget, first_line: int = 1) -> Any:
    """Return the first document in `text`, all that go-yaml reads. Raises YamlError or TooMuch."""
    if found := _DIRECTIVE.match(text):
        line = text.count("\n", 0, found.end()) + first_line
        raise YamlError(f"line {line}: did not find expected <document start>")
    text = text.removeprefix("\ufeff")
    colon = next((character for character in _STAND_INS if character not in text), _STAND_INS[0])
    for _ in range(_MOST_COLONS):
        try:
            return _Composer(text, budget, colon).compose(first_line)
        except _UnexpectedColon as error:
            text = text[: error.index] + colon + text[error.index + 1 :]
    raise YamlError("too many colons inside brackets have no space behind them")


class _Source:
    """The text in small pieces. This is Python's own code, so that between two pieces other threads have their turn."""

    name = "text"

    def __init__(self, text: str) -> None:
        self._content, self._position = text.encode(), 0

    def read(self, size: int = -1, /) -> bytes:
        start, self._position = self._position, self._position + size
        return self._content[start : self._position]


@dataclass(slots=True)
class _Anchor:
    """A value that aliases may repeat, with what it comes to; nothing yet while it is being read."""

    name: str
    values: int
    characters: int
    complete: bool = False
    value: Any = None
    height: int = 0


class _Sequence:
    def __init__(self, anchor: _Anchor | None, *, is_flow: bool) -> None:
        self.anchor, self.is_flow, self.height = anchor, is_flow, 0
        self.value: list[Any] = []

    def add(self, value: Any, *, aliased: bool) -> None:  # noqa: ARG002
        self.value.append(as_json(value))


class _Mapping:
    def __init__(self, anchor: _Anchor | None, *, is_flow: bool) -> None:
        self.anchor, self.is_flow, self.height = anchor, is_flow, 0
        self.value: dict[str, Any] = {}
        self.key: str | None = None
        self.merges = False

    @property
    def expects_key(self) -> bool:
        return self.key is None and not self.merges

    def add(self, value: Any, *, aliased: bool) -> None:
        if self.merges:
            self._merge(value, aliased=aliased)
            self.merges = False
        elif self.key is None:
            self.key = as_key(value)
        else:
            self.value[self.key] = as_json(value)
            self.key = None

    def _merge(self, value: Any, *, aliased: bool) -> None:
        """Take over keys and values: they win over those that stand before, and earlier ones of several over later."""
        parts = [value] if aliased or not isinstance(value, list) else reversed(value)
        for part in parts:
            if not isinstance(part, dict):
                raise ValueError("a merge needs an object, or a list of objects, as its value")  # noqa: TRY004
            self.value.update(part)


class _Composer:
    def __init__(self, text: str, budget: Budget, colon: str) -> None:
        self._line = 0
        self._text, self._budget, self._colon = text, budget, colon
        self._open: list[_Sequence | _Mapping] = []
        self._anchors: dict[str, _Anchor] = {}
        self._nodes, self._from_aliases = 1, 0
        self._root: Any = None

    def compose(self, first_line: int) -> Any:
        try:
            return self._compose()
        except MarkedYAMLError as error:
            mark: Any = error.problem_mark or error.context_mark
            if error.problem == _COLON:
                raise _UnexpectedColon(mark.index) from None
            raise YamlError(f"line {mark.line + first_line}: {error.problem}") from None
        except YAMLError as error:
            raise YamlError(f"YAML: {str(error).splitlines()[0]}") from None
        except ValueError as error:
            raise YamlError(f"line {self._line + first_line}: {error}") from None

    def _compose(self) -> Any:
        parser: Any = CSafeLoader(_Source(self._text))
        while not isinstance(event := parser.get_event(), DocumentEndEvent | StreamEndEvent):
            self._line = event.start_mark.line
            self._take(event)
        return self._root

    def _take(self, event: Event) -> None:
        match event:
            case ScalarEvent():
                self._scalar(event)
            case MappingStartEvent() | SequenceStartEvent():
                self._begin(event)
            case MappingEndEvent() | SequenceEndEvent():
                self._end()
            case AliasEvent():
                self._alias(event)

    def _scalar(self, event: ScalarEvent) -> None:
        above = self._open[-1] if self._open else None
        if isinstance(above, _Mapping) and above.expects_key and _is_merge(event):
            above.merges = True
            return
        self._count(1, len(event.value))
        value = self._value(event)
        if anchor := self._anchor(event.anchor, 1, len(event.value)):
            anchor.complete, anchor.value = True, value
        self._add(value, 0)

    def _value(self, event: ScalarEvent) -> Any:
        text: str = event.value
        if event.style == '"' and "/" in text and _ESCAPED_SLASH.search(self._written(event)):
            raise ValueError("found unknown escape character")
        if event.style == "":
            if "?" in text[1:] and self._open and self._open[-1].is_flow:
                raise ValueError("a text with a question mark needs quotes inside brackets")
            text = text.replace(self._colon, ":")
        if event.tag is None and not event.implicit[0]:
            return text
        value = resolve(event.tag, text)
        return text if not isinstance(value, str) and self._has_bare_tag(event) else value

    def _has_bare_tag(self, event: ScalarEvent) -> bool:
        """Tell whether `!` marks it as a text, of which libyaml says no more than that there is no tag."""
        return event.tag is None and (event.style in _QUOTED or "!" in self._written(event))

    def _written(self, event: Any) -> str:
        return self._text[event.start_mark.index : event.end_mark.index]

    def _begin(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        check_depth(len(self._open) + 1)
        anchor = self._anchor(event.anchor, self._budget.values, self._budget.characters)
        self._count(1, 0)
        kind = _Mapping if isinstance(event, MappingStartEvent) else _Sequence
        self._open.append(kind(anchor, is_flow=bool(event.flow_style)))

    def _end(self) -> None:
        done = self._open.pop()
        if anchor := done.anchor:
            anchor.complete, anchor.value, anchor.height = True, done.value, done.height + 1
            anchor.values = self._budget.values - anchor.values
            anchor.characters = self._budget.characters - anchor.characters
        self._add(done.value, done.height + 1)

    def _alias(self, event: AliasEvent) -> None:
        anchor = self._anchors.get(str(event.anchor))
        if anchor is None:
            raise ValueError(f"found undefined alias '{event.anchor}'")
        if not anchor.complete:
            raise TooMuch(f"unfolds into more than anybody can read: '{event.anchor}' contains itself")
        check_depth(len(self._open) + anchor.height)
        self._count(1, 0)
        self._from_aliases += anchor.values
        self._count(anchor.values, anchor.characters)
        self._add(anchor.value, anchor.height, aliased=True)

    def _anchor(self, name: str | None, values: int, characters: int) -> _Anchor | None:
        if name is None:
            return None
        anchor = self._anchors[name] = _Anchor(name, values, characters)
        return anchor

    def _count(self, values: int, characters: int) -> None:
        self._budget.spend(values, characters)
        self._nodes += values
        if self._from_aliases > _ALIASES and self._nodes > _NODES and self._from_aliases > self._nodes * _SHARE:
            raise TooMuch("unfolds into more than anybody can read: nearly all of it is aliases")

    def _add(self, value: Any, height: int, *, aliased: bool = False) -> None:
        if not self._open:
            self._root = as_json(value)
            return
        above = self._open[-1]
        above.height = max(above.height, height)
        above.add(value, aliased=aliased)


def _is_merge(event: ScalarEvent) -> bool:
    return event.value == "<<" and (event.implicit[0] or event.tag == MERGE_TAG)
