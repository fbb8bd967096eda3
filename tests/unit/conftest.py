"""Worlds in memory, and the command `render`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from experiment_operator.cli import main
from experiment_operator.settings import Render
from support.memory import MemoryWorld
from support.rendered import Rendered


@pytest.fixture(scope="session")
def world() -> type[MemoryWorld]:
    return MemoryWorld


@pytest.fixture
def render(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Rendered]:
    """`render("a.yaml", "-", stdin="…", files={"a.yaml": "…"})`, in a directory with these files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    for field in Render.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)

    def run(*arguments: str, stdin: str | bytes = "", files: Mapping[str, str | bytes] | None = None) -> Rendered:
        for name, content in (files or {}).items():
            Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        given = stdin if isinstance(stdin, bytes) else stdin.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        code = main(["render", *arguments])
        out, err = capsys.readouterr()
        return Rendered(code, out, err.splitlines())

    return run
