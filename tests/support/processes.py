"""`experiment-operator` in processes of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

from support.polling import PATIENCE, until

T = TypeVar("T")

COMMAND = (sys.executable, "-m", "experiment_operator")


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it printed where."""

    code: int
    out: str
    err: str


class ServiceProcess:
    """A role of the service. Whoever starts one has to `kill` it in the end."""

    # Free ports where nothing else is said, so that any number of them can run at once.
    defaults: ClassVar[Mapping[str, str]] = {"API_PORT": "0", "METRICS_PORT": "0"}

    def __init__(self, process: Process, log: Path, directory: Path | None = None) -> None:
        self.process, self._log, self.directory = process, log, directory

    @classmethod
    async def start(cls, role: str, log: Path, environment: Mapping[str, str], cwd: Path | None = None) -> Self:
        """Start `experiment-operator ROLE` with this in its environment; all that it says is in `log`."""
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(*COMMAND, role),
                env={**os.environ, **cls.defaults, **environment},
                cwd=cwd,
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
            )
        return cls(process, log, cwd)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of its log, where it writes JSON, but for one that is still being written."""
        return [json.loads(line) for line in self.log.split("\n")[:-1]]

    async def until(self, ask: Callable[[], T]) -> T:
        """Ask until the answer is true, and return that; fail with its log where it ends before."""

        def look() -> T:
            answer = ask()
            assert answer or self.process.returncode is None, f"it has ended: {self.log}"
            return answer

        return await until(look)

    async def says(self, *words: str) -> str:
        """Wait until a line of its log has all of these words; return the log up to there."""

        def look() -> list[str]:
            lines = self.log.splitlines()
            found = [number for number, line in enumerate(lines) if all(word in line for word in words)]
            return lines[: found[0] + 1] if found else []

        return "\n".join(await self.until(look))

    async def event(self, name: str) -> dict[str, Any]:
        """Wait until its log has this event."""
        await self.says(f'"event": "{name}"')
        return next(line for line in self.events if line["event"] == name)

    async def end(self, number: int) -> int:
        """Send it a signal, and return its exit code once it has ended, as `subprocess` gives it."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


Start: TypeAlias = Callable[..., Awaitable[ServiceProcess]]


@asynccontextmanager
async def processes(common: Mapping[str, str], directory: Path) -> AsyncIterator[Start]:
    """Yield `await start("watcher", SETTING="value")`; what still runs when the block is left is killed."""
    started: list[ServiceProcess] = []

    async def start(role: str, **environment: str) -> ServiceProcess:
        log = directory / f"{role}-{len(started)}.log"
        started.append(await ServiceProcess.start(role, log, {**common, **environment}))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            await process.kill()
