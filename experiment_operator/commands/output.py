"""How commands answer: lines for people, or documents for programs."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from experiments import yaml as documents


class Printer:
    """Lines for people, or documents for programs."""

    def __init__(self, style: str) -> None:
        self.for_people = style in {"text", "wide"}
        self.wide = style == "wide"
        self._style = style
        # Where it is no terminal, lines are not broken, and there are no colours.
        self._console = _Console(highlight=False, soft_wrap=True)

    def document(self, content: Any) -> None:
        as_json = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        print(as_json if self._style == "json" else documents.write([content]), end="", flush=True)

    def line(self, *parts: str | tuple[str, str]) -> None:
        self._console.print(Text.assemble(*parts))


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the program, which ends every command alike, instead of exiting from here."""
        raise  # noqa: PLE0704 - it is called while the error is handled


def local_time(time: str | None) -> str:
    """Write a moment as a clock here shows it; nothing for none."""
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}" if time else ""


def in_brief(text: str | None, length: int) -> str:
    """Put a text on one line, and cut it where it is longer."""
    line = " ".join((text or "").split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def score_words(metric: dict[str, Any]) -> str:
    """Say how a metric was judged, with as many digits as it takes to see that a threshold was missed."""
    if metric["error"]:
        return f"could not be judged: {metric['error']}"
    score, threshold = metric["score"], metric["threshold"]
    if score is None:
        return "has no score"
    shown = f"{score:.2f}"
    if threshold is not None and score < threshold <= float(shown):
        shown = repr(score)
    return shown if threshold is None else f"{shown}, threshold {threshold:g}"


def answer_of(step: dict[str, Any]) -> str:
    """Return what the agent answered at last in a step, or what was said in its place."""
    said = [turn["content"] for turn in step["turns"] if turn["type"] == "agent" and turn["content"]]
    return str(step["error"] or (said[-1] if said else ""))
