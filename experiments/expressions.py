"""Testkube's expressions, as far as it takes to tell what it can evaluate in the environment of an execution.

`{{ … }}` in `spec.env` is evaluated when an execution starts; what Testkube does not know aborts the execution, and
only Testkube's own log says why. Names and grammar are Testkube's of 2026-08.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_OPEN, _CLOSE = "{{", "}}"
_SPACE = re.compile(r"\s+")
_NAME = re.compile(r"[a-zA-Z\d_]+(?:\s*\.\s*(?:[a-zA-Z\d_]+|\*))*")
_OPERATOR = re.compile(r"!=|<>|==|>=|<=|&&|\*\*|\|\||\.\.\.|[-+*/><=%?:,!]")
_CALL = re.compile(r"\s*\(")
_PROPERTY = re.compile(r"\.\s*(?:[a-zA-Z\d_]+|\*)")
_QUOTED = re.compile(r"'(?:\\'|[^'])*'")
_VALUE = re.compile(r'["{\[\d]|(?:true|false|null)(?![a-zA-Z\d_.])')
_PREFIXED = ("-", "!")

_FUNCTION = re.compile(
    "string|list|join|split|int|bool|float|tojson|json|toyaml|yaml|shellquote|shellparse|trim|len|floor|ceil|round|chunk|"
    "at|map|entries|filter|eval|jq|relpath|abspath|range|date|any|makepath|file|glob|secret|credential"
)
_VARIABLE = re.compile(
    r"status|passed|failed|always|never|error|success|workingDir|env|resource|labels|workflow\.name|self\.(status|passed|failed)"
    r"|(organization|environment)\.id|dashboard\.url|resource\.(id|root|fsPrefix)"
    r"|execution(\.(id|groupId|name|number|scheduledAt|disableWebhooks|(tags|runningContext)(\..+)?))?"
    r"|(env|workflow\.labels|labels|internal|services|output|step|image|pvcs)\..+"
)


class ExpressionError(ValueError):
    """What is wrong with a text, as the end of a sentence that begins with it."""


def check(text: str) -> None:
    """Raise `ExpressionError` where `text` holds an expression that Testkube cannot evaluate in an execution.

    `{{ "{{" }}` is one that gives `{{`.
    """
    position = 0
    while (position := text.find(_OPEN, position)) >= 0:
        start = position
        position = _end(text, position + len(_OPEN))
        if position < 0:
            raise ExpressionError(f"has a {_OPEN!r} without its {_CLOSE!r}: {text[start : start + 40]!r}")


def _end(text: str, position: int) -> int:
    """Find where the expression that begins at `position` has ended; -1 where it does not."""
    operand_wanted, depth = True, 0
    for kind, token, end in _tokens(text, position):
        if kind == "close":
            if (operand_wanted and end - len(_CLOSE) > position and text[position : end - 2].strip()) or depth:
                raise _unreadable(text, position)
            return end
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth < 0:
            raise _unreadable(text, position)
        if kind == "name":
            _check_name(token, is_call=_CALL.match(text, end) is not None)
        operand_wanted = _follow(kind, token, operand_wanted, text, position)
    return -1


def _follow(kind: str, token: str, operand_wanted: bool, text: str, position: int) -> bool:
    """Tell whether an operand has to come next. Raises where `token` cannot stand here."""
    if kind in {"name", "value"}:
        if not operand_wanted:
            raise _unreadable(text, position)
        return False
    if kind == "operator":
        if operand_wanted and token not in _PREFIXED:
            raise _unreadable(text, position)
        return token != "..."  # noqa: S105 - a token of the grammar
    if kind == "property" and operand_wanted:
        raise _unreadable(text, position)
    return token == "("  # noqa: S105


def _tokens(text: str, position: int) -> Iterator[tuple[str, str, int]]:
    """Yield kind, token and end of each, up to the closing braces."""
    while position < len(text):
        if space := _SPACE.match(text, position):
            position = space.end()
        elif text.startswith(_CLOSE, position):
            yield "close", _CLOSE, position + len(_CLOSE)
            return
        else:
            kind, token, position = _token(text, position)
            yield kind, token, position


def _token(text: str, position: int) -> tuple[str, str, int]:
    if text[position] in "()":
        return "parenthesis", text[position], position + 1
    if quoted := _QUOTED.match(text, position):
        return "value", quoted[0], quoted.end()
    if _VALUE.match(text, position):
        return _literal(text, position)
    for kind, pattern in (("name", _NAME), ("property", _PROPERTY), ("operator", _OPERATOR)):
        if found := pattern.match(text, position):
            return kind, found[0], found.end()
    raise _unreadable(text, position)


def _literal(text: str, position: int) -> tuple[str, str, int]:
    try:
        _, end = json.JSONDecoder(strict=False).raw_decode(text, position)
    except (ValueError, RecursionError):
        raise _unreadable(text, position) from None
    return "value", text[position:end], end


def _check_name(name: str, *, is_call: bool) -> None:
    name = re.sub(r"\s", "", name)
    if is_call and not _FUNCTION.fullmatch(name):
        raise ExpressionError(f"calls {name}(), which Testkube does not have")
    if not is_call and not _VARIABLE.fullmatch(name):
        raise ExpressionError(f"speaks of {name}, which Testkube does not know in an execution")


def _unreadable(text: str, position: int) -> ExpressionError:
    return ExpressionError(
        f"has no expression that Testkube can read at {text[max(position - 2, 0) : position + 30]!r}"
    )
