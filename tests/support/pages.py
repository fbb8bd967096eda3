"""Takes the pages apart: commands and manifests as they stand there, and a desk at which to run them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support.clusters import ROOT
from support.commands import Command

_FENCE = re.compile(r"^( *)```(\w*) ?(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?: {4}.*\n|\n(?= {4}))+)")
# An indented block is a command where it has a line with a `$`, or begins with one of these; else it shows an answer.
_PROGRAMS = (
    "kubectl|make|docker|helm|curl|set|export|experiment-operator|temporal|debootstrap|[.]venv/bin/|LOG_LEVELS=|OTEL_"
)


@dataclass(frozen=True)
class Block:
    """`how` is the second word behind the fence: `fails` says that the command has to."""

    page: str
    line: int
    language: str
    how: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(ROOT))

    def line(place: int) -> int:
        return text.count("\n", 0, place) + 1

    found = [
        Block(name, line(m.start()), m[2], m[3], re.sub(f"^{m[1]}", "", m[4], flags=re.MULTILINE))
        for m in _FENCE.finditer(text)
    ]
    # Blanked out rather than removed, so that the lines of what follows stay right.
    rest = _FENCE.sub(lambda m: re.sub(r"[^\n]", "", m[0]), text)
    for m in _INDENTED.finditer(rest):
        block = re.sub("^ {4}", "", m[1], flags=re.MULTILINE)
        if prompted := re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE):
            found.append(Block(name, line(m.start()), "sh", "", "\n".join(prompted)))
        elif re.match(_PROGRAMS, block):
            found.append(Block(name, line(m.start()), "sh", "", block))
    return sorted(found, key=lambda block: block.line)


class Desk:
    """A directory with the files of a checkout, in which somebody runs `dev` and types into a second terminal."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def run(self, script: str) -> tuple[int, str]:
        """In one bash, which ends at the first command that fails; returns the exit code and all that was said."""
        environ = {**os.environ, "HOME": str(self.directory), "CURL_HOME": str(self.directory)}
        process = await asyncio.create_subprocess_exec(
            *("bash", "-e", "-o", "pipefail", "-c", script),
            cwd=self.directory,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode(errors="replace")


@asynccontextmanager
async def new_desk(directory: Path) -> AsyncIterator[Desk]:
    for name in ("crds", "deploy"):
        shutil.copytree(ROOT / name, directory / name)
    (directory / ".venv").mkdir()
    (directory / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (directory / ".curlrc").write_text("fail-with-body\n")  # so that an answer of 4xx or 5xx fails as the others do
    dev = await Command.start("dev", directory / "dev.log", {}, cwd=directory)
    try:
        await dev.until((directory / ".local" / "env").exists)
        yield Desk(directory)
    finally:
        await dev.end(signal.SIGTERM)
