"""An evaluation as JUnit XML, as CI systems show it: a suite for each scenario, a case for each metric of a step. Pure.

There is no standard of it. Written is what all readers have in common: `testsuites`, `testsuite` and `testcase` with
their counts, and in a case `failure` (it was judged, and missed its threshold), `error` (it could not be judged) or
`skipped` (there was nothing to judge).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from xml.etree import ElementTree as ET

from experiment_operator.commands.output import answer_of, in_brief, score_words

Kind: TypeAlias = Literal["passed", "failure", "error", "skipped"]

_EVALUATION = "evaluation"
# What XML 1.0 cannot hold, not even escaped. Agents answer with whatever they like.
_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_INSTEAD = "\ufffd"
_MAX_LINE = 2000


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    kind: Kind
    message: str = ""
    text: str = ""


def junit(experiment: str, execution: dict[str, Any] | None, failure: str = "") -> bytes:
    """Write an execution as the api describes it; where there is none, or no verdict of it, `failure` says why."""
    execution = execution or {}
    seconds = execution.get("durationSeconds")
    root = ET.Element("testsuites", _clean({"name": experiment} | ({"time": f"{seconds:.3f}"} if seconds else {})))
    seen: Counter[tuple[str, str]] = Counter()
    for name, cases in _suites(experiment, execution, failure):
        root.append(_suite(experiment, name, list(cases), seen))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suites(experiment: str, execution: dict[str, Any], failure: str) -> Iterator[tuple[str, Iterable[_Case]]]:
    scenarios = [(each["name"], list(_cases(each))) for each in execution.get("scenarios") or ()]
    if whole := _of_all(execution, failure, {case.kind for _, cases in scenarios for case in cases}):
        yield experiment, [whole]
    yield from scenarios


def _of_all(execution: dict[str, Any], failure: str, kinds: set[Kind]) -> _Case | None:
    """Make a case of what no metric tells: without it, an evaluation that was none would look as if it had passed."""
    verdict = execution.get("verdict")
    message = failure or str(execution.get("message") or execution.get("error") or "")
    if verdict == "Passed" and not failure:
        return None if kinds else _Case(_EVALUATION, "passed")
    if verdict == "Failed" and not failure:
        return None if "failure" in kinds else _Case(_EVALUATION, "failure", message)
    return None if "error" in kinds and not failure else _Case(_EVALUATION, "error", message)


def _cases(scenario: dict[str, Any]) -> Iterator[_Case]:
    for number, step in enumerate(scenario["steps"], start=1):
        named = f"step {number}"
        said = f"input: {in_brief(step['input'], _MAX_LINE)}\nanswer: {in_brief(answer_of(step), _MAX_LINE)}"
        for metric in step["metrics"]:
            name = f"{named}: {metric['metric']}"
            if metric["error"]:
                yield _Case(name, "error", metric["error"], said)
            elif metric["passed"]:
                yield _Case(name, "passed")
            else:
                yield _Case(name, "failure", score_words(metric), said)
        if not step["metrics"]:
            skipped = _Case(named, "skipped", "It has no metrics.")
            yield _Case(named, "error", step["error"]) if step["error"] else skipped


def _suite(experiment: str, name: str, cases: list[_Case], seen: Counter[tuple[str, str]]) -> ET.Element:
    kinds = Counter(case.kind for case in cases)
    counts = {"tests": len(cases), "failures": kinds["failure"], "errors": kinds["error"], "skipped": kinds["skipped"]}
    suite = ET.Element("testsuite", _clean({"name": name} | {key: str(count) for key, count in counts.items()}))
    for case in cases:
        # Two of the same name are one to most readers.
        seen[name, case.name] += 1
        again = f" ({seen[name, case.name]})" if seen[name, case.name] > 1 else ""
        of = experiment if name == experiment else f"{experiment}.{name}"
        attributes = {"classname": of, "name": f"{case.name}{again}"}
        element = ET.SubElement(suite, "testcase", _clean(attributes))
        if case.kind != "passed":
            # Some readers show the attribute, some the text.
            told = ET.SubElement(element, case.kind, _clean({"message": case.message}))
            told.text = _NO_XML.sub(_INSTEAD, "\n".join(filter(None, (case.message, case.text))))
    return suite


def _clean(attributes: dict[str, str]) -> dict[str, str]:
    return {name: _NO_XML.sub(_INSTEAD, value) for name, value in attributes.items()}
