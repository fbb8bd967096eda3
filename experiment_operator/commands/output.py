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
        self.for_people = style == "text"
        self._style = style
        # Where it is no terminal, lines are not broken, and there are no colours.
        self._console = _Console(highlight=False, soft_wrap=True)

    def document(self, content: Any) -> None:
        text = (
            json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            if self._style == "json"
            else documents.write([content])
        )
        print(text, end="", flush=True)

    def line(self, *parts: str | tuple[str, str]) -> None:
        self._console.print(Text.assemble(*parts))


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the program, which ends every command alike, instead of exiting from here."""
        raise  # noqa: PLE0704 - it is called while the error is handled


def local_time(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone()
