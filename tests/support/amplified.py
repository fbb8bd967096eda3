"""Texts of at most 3 MiB that are small to send and large to read, in each of the ways that were found.

`REFUSED` are those that nobody should read to the end, with the words by which they are refused. `READ` are as large as
may be: they are read, and whatever is wrong with them as Experiments is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MIB = 1024 * 1024
_SIZE = 3 * MIB - 1024
_STEP = {"input": "hi"}


def experiment(*steps: Any, **spec: Any) -> dict[str, Any]:
    scenarios = [{"name": "s", "steps": list(steps) or [_STEP]}]
    return {
        "apiVersion": "testbench.agentic-layer.ai/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "large", "namespace": "sample-agents"},
        "spec": {"agentRef": {"name": "weather-agent"}, "scenarios": scenarios, **spec},
    }


def _json(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def with_value(text: str) -> str:
    """An Experiment whose one free-form value is written so, in JSON."""
    return _json(experiment({**_STEP, "customValues": {"k": 0}})).replace('{"k":0}', f'{{"k":{text}}}')


def _many(unit: str, size: int = _SIZE) -> str:
    return unit * (size // len(unit))


def _unfolding(lines: int, width: int) -> str:
    """Lists of aliases to the list before, as in the bomb called a billion laughs."""
    first = f"  a0: &a0 [{','.join(['lol'] * width)}]\n"
    more = (f"  a{n}: &a{n} [{','.join([f'*a{n - 1}'] * width)}]\n" for n in range(1, lines))
    return f"a:\n{first}{''.join(more)}"


def _repeated_texts() -> str:
    steps = f"    steps: &steps\n    - &step {{input: {'x' * 65536}}}\n" + "    - *step\n" * 99
    more = "".join(f"  - {{name: s{n}, steps: *steps}}\n" for n in range(1, 50))
    return f"spec:\n  agentRef: {{name: a}}\n  scenarios:\n  - name: s0\n{steps}{more}"


_VALUES = "holds more than 200,000 values"
_CHARACTERS = "has more than 3,145,728 characters"
_DEEP = "is nested too deeply: more than 500 levels"
_DOCUMENTS = "holds more than 1,000 documents"
_ALIASES = "unfolds into more than anybody can read"

REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    "aliases of aliases": (lambda: _unfolding(9, 9), _ALIASES),
    "aliases of aliases in a large text": (lambda: f"b: [{'0,' * 120_000}0]\n{_unfolding(4, 90)}", _VALUES),
    "aliases of long texts": (_repeated_texts, _CHARACTERS),
    "an alias of half a text": (lambda: f"a: &a {'x' * MIB}\nb: [*a, *a, *a]\n", _CHARACTERS),
    "a value inside itself": (lambda: "a: &a [*a]\n", "unfolds into more than anybody can read: 'a' contains itself"),
    "a chain of aliases": (
        lambda: "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100_000)),
        _ALIASES,
    ),
    "merges of merges": (
        lambda: "a0: &a0 {k: x}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: x}}\n" for n in range(1, 70_000)),
        _ALIASES,
    ),
    "merges of much": (
        lambda: f"a: &a {{{','.join(f'k{n}: 0' for n in range(50_000))}}}\nb: [{'{<<: *a},' * 1000}0]\n",
        _VALUES,
    ),
    "numbers in JSON": (lambda: with_value(f"[{_many('0,')}0]"), _VALUES),
    "objects in JSON": (lambda: with_value("[" + _many('{"":0},') + "0]"), _VALUES),
    "lists in JSON": (lambda: with_value(f"[{_many('[],')}0]"), _VALUES),
    "one key again and again": (lambda: "{" + _many('"a":0,') + '"a":0}', _VALUES),
    "a stream of objects": (lambda: _many("{}"), _VALUES),
    "a stream of Experiments": (lambda: (_json(experiment()) + "\n") * 1001, _DOCUMENTS),
    "a list of Experiments": (
        lambda: _json({"apiVersion": "v1", "kind": "List", "items": [experiment()] * 1001}),
        _DOCUMENTS,
    ),
    "a list of nothing": (lambda: _json({"apiVersion": "v1", "kind": "List", "items": [0] * 190_000}), _DOCUMENTS),
    "deep lists in JSON": (lambda: with_value("[" * MIB), _DEEP),
    "deep objects in JSON": (lambda: _many('{"a":'), _DEEP),
    "numbers in YAML": (lambda: f"a: [{_many('0,')}0]\n", _VALUES),
    "lines in YAML": (lambda: "a:\n" + _many("- x\n"), _VALUES),
    "deep lists in YAML": (lambda: _many("["), _DEEP),
    "deep lists of lines": (lambda: _many("- "), _DEEP),
    "deep objects in YAML": (lambda: _many("{a: "), _DEEP),
    "deep keys": (lambda: _many("? "), _DEEP),
    "separators": (lambda: _many("---\n"), _DOCUMENTS),
    "documents": (lambda: _many("---\na\n"), _DOCUMENTS),
    "directives": (
        lambda: "".join(f"%TAG !a{n}! x\n" for n in range(150_000)) + "--- a\n",
        "did not find expected <document start>",
    ),
    "a text that does not end": (lambda: f'a: "{"x" * _SIZE}', "found unexpected end of stream"),
    "quotes": (lambda: "{" + _many('"'), _VALUES),
    "a number beyond all numbers": (lambda: with_value("9" * _SIZE), "out of range"),
    "bytes that are no text": (lambda: _many("\0"), "control characters are not allowed"),
}

READ: dict[str, Callable[[], str]] = {
    "one long text in JSON": lambda: with_value(f'"{"x" * _SIZE}"'),
    "one long text of escapes": lambda: with_value('"' + _many("\\n") + '"'),
    "halves of characters": lambda: with_value('"' + _many("\\ud83d") + '"'),
    "one long text in YAML": lambda: f"{_json(experiment())[:-1]}, x: {'x' * _SIZE}}}",
    "one long number": lambda: f"a: {'9' * _SIZE}\n",
    "one long block": lambda: "a: |\n" + _many("  x\n"),
    "comments": lambda: _many("# x\n") + _json(experiment()),
    "empty lines": lambda: _many("\n") + _json(experiment()),
    "spaces": lambda: _many(" ") + _json(experiment()),
    "as many numbers as may be": lambda: with_value(f"[{'0,' * 180_000}0]"),
    "as many objects as may be": lambda: with_value("[" + ",".join(['{"a":0}'] * 60_000) + "]"),
    "as many keys as may be": lambda: "".join(f"k{n}: {n}\n" for n in range(95_000)),
    "as many odd keys as may be": lambda: "".join(f"{n}.5: x\n" for n in range(95_000)),
    "as many anchors as may be": lambda: "".join(f"- &a{n} x\n" for n in range(190_000)),
    "much that is deep": lambda: with_value("[" * 230 + "0," * 180_000 + "0" + "]" * 230),
    "as many steps as may be": lambda: _json(
        experiment(scenarios=[{"name": str(n), "steps": [_STEP] * 100} for n in range(450)])
    ),
    "as many Experiments as may be": lambda: "".join(
        _json({**experiment(), "metadata": {"name": f"e{n}"}}) for n in range(990)
    ),
    "unknown fields": lambda: _json(experiment(**{f"k{n}": 0 for n in range(95_000)})),
    "fields that are missing": lambda: _json(experiment(scenarios=[{"steps": [{}] * 100}] * 450)),
    "a status of nothing": lambda: _json({**experiment(), "status": {"conditions": [{}] * 190_000}}),
    "annotations that are no texts": lambda: _json(
        {**experiment(), "metadata": {"name": "large", "annotations": {f"k{n}": 0 for n in range(95_000)}}}
    ),
}
