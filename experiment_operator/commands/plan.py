"""The command `plan`: what applying files would change, as the api says."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from difflib import unified_diff
from itertools import takewhile
from typing import Any

from experiment_operator.commands.api_client import ApiError, Remote, asking
from experiment_operator.commands.files import read
from experiment_operator.commands.output import Printer
from experiment_operator.settings import PlanCommand
from experiments.names import APPLIED

_SIGNS = {"create": ("+", "green"), "delete": ("-", "red"), "change": ("~", "yellow"), "replace": ("±", "yellow")}
_LINE_COLOURS = {"-": "red", "+": "green"}
_MAX_LINES = 20
_MAX_MATCHED_LINES = 2000


@asking
async def plan(settings: PlanCommand, api: Remote, out: Printer) -> int:
    """Show what applying files would change."""
    problems: list[str] = []
    found = [document for file in settings.file for document in read(file, str(file), problems)]
    if problems or not found:
        print("\n".join(problems or ["no Experiment in there"]), file=sys.stderr)
        return 2
    fine = True
    for document in found:
        content = json.dumps(_in_namespace(document.content, api.namespace), ensure_ascii=False, separators=(",", ":"))
        try:
            answer = await api.post("/plan", content.encode())
        except ApiError as error:
            raise ApiError(f"{document.where}: {error}") from None
        fine = fine and not answer["refusals"] and not answer["problems"]
        if settings.markdown:
            print(_markdown(answer))
        elif out.for_people:
            print_plan(answer, out)
        else:
            out.document(answer)
    return 0 if fine else 1


def _in_namespace(content: Any, namespace: str) -> Any:
    """Put that namespace where it names none, as `kubectl` does."""
    if not isinstance(content, dict) or not isinstance(content.get("metadata"), dict):
        return content
    return {**content, "metadata": {"namespace": namespace, **content["metadata"]}}


def print_plan(plan: dict[str, Any], out: Printer) -> None:
    out.line((f"Experiment {plan['namespace']}/{plan['name']}", "bold"), f"  {_title(plan)}")
    for change in plan["changes"]:
        _print_change(change, out)
    for refusal in plan["refusals"]:
        out.line(("  refused  ", "red"), f"{refusal['path']}: {refusal['message']}")
    for problem in plan["problems"]:
        out.line(("  problem  ", "red"), f"{problem['reason']}: {problem['message']}")
    for warning in plan["warnings"]:
        out.line(("  warning  ", "yellow"), f"{warning['path']}: {warning['message']}")


def _title(plan: dict[str, Any]) -> str:
    return f"would be reconciled: {', '.join(plan['reasons'])}" if plan["needed"] else "nothing would change"


def _markdown(plan: dict[str, Any]) -> str:
    """Write it for a comment on a pull request.

    What others have written stands as code, where it makes no links and calls nobody.
    """
    parts = [f"**Experiment {_code(plan['namespace'] + '/' + plan['name'])}**: {_code(_title(plan))}"]
    for kind in ("refusal", "problem", "warning"):
        for found in plan[f"{kind}s"]:
            words = f"{found.get('path') or found['reason']}: {found['message']}"
            parts.append(f"- **{kind}** {_code(words)}")
    for change in plan["changes"]:
        parts.append(f"- {_what(change)}")
        fields = [each for each in change["fields"] if APPLIED not in each["path"]]
        if change["verb"] == "change" and fields:
            parts.append(_diff(fields))
    return "\n".join(parts) + "\n"


def _diff(fields: list[dict[str, Any]]) -> str:
    lines = []
    for field in fields:
        changed = _changed_lines(_lines(field["current"]), _lines(field["planned"]))
        lines += [f"@@ {field['path']} @@", *_shown(changed)]
    fence = _ticks("\n".join(lines), least=3)
    return "\n".join(f"  {line}" for line in (f"{fence}diff", *lines, fence))


def _code(text: str) -> str:
    text = " ".join(text.split())
    ticks = _ticks(text, least=1)
    return f"{ticks} {text} {ticks}" if "`" in text else f"{ticks}{text}{ticks}"


def _ticks(text: str, *, least: int) -> str:
    """Return more backticks than stand anywhere in a row in the text."""
    return "`" * max(least, 1 + max((len(run) for run in re.findall("`+", text)), default=0))


def _what(change: dict[str, Any]) -> str:
    verbs = {"addFinalizer": "add finalizer to", "removeFinalizer": "remove finalizer of"}
    return f"{verbs.get(change['verb'], change['verb'])} {change['kind']} {change['namespace']}/{change['name']}"


def _print_change(change: dict[str, Any], out: Printer) -> None:
    sign, colour = _SIGNS.get(change["verb"], ("~", "yellow"))
    out.line((f"  {sign} {_what(change)}", colour))
    for field in change["fields"] if change["verb"] == "change" else ():
        if APPLIED not in field["path"]:  # a digest says nothing to people
            _print_difference(field, out)


def _print_difference(field: dict[str, Any], out: Printer) -> None:
    """Print a difference on one line where that is enough, else line by line."""
    before, after = _lines(field["current"]), _lines(field["planned"])
    if max(len(before), len(after)) == 1:
        out.line(f"      {field['path']}: ", (before[0], "red"), " → ", (after[0], "green"))
        return
    out.line(f"      {field['path']}:")
    for line in _shown(_changed_lines(before, after)):
        out.line((f"        {line}", _LINE_COLOURS.get(line[0], "")))


def _shown(changed: list[str]) -> list[str]:
    """Cut a long difference, and say by how much."""
    left = len(changed) - _MAX_LINES
    return [*changed[:_MAX_LINES], *([f"… and {left} lines more"] if left > 0 else ())]


def _changed_lines(before: list[str], after: list[str]) -> list[str]:
    """Mark lines with `-` or `+`. To match thousands of lines takes longer than anybody waits for twenty of them."""
    same = _common(before, after)
    before, after = before[same:], after[same:]
    same = _common(reversed(before), reversed(after))
    before, after = before[: len(before) - same], after[: len(after) - same]
    if len(before) + len(after) > _MAX_MATCHED_LINES:
        shown = _MAX_LINES // 2
        removed, added = [f"-{line}" for line in before], [f"+{line}" for line in after]
        return [*removed[:shown], *added[:shown], *removed[shown:], *added[shown:]]
    return [line for line in unified_diff(before, after, n=0, lineterm="") if line[:2] not in {"--", "++", "@@"}]


def _common(before: Iterable[str], after: Iterable[str]) -> int:
    """Count the lines they have in common before they differ."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))


def _lines(value: Any) -> list[str]:
    if isinstance(value, str) and "\n" in value:
        return value.splitlines()
    return json.dumps(value, indent=2 if isinstance(value, dict | list) else None, ensure_ascii=False).splitlines()
