"""Runs the commands `demo` and `dev` as a person does: as processes, in a directory of their own."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest


class Command:
    """A running `experiment-operator NAME`, in `directory`, which is also where its temporary files go."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path, output: Path) -> None:
        self._process, self._output = process, output
        self.directory = directory

    @property
    def output(self) -> str:
        """What it has said, on both streams."""
        return self._output.read_text()

    async def ends(self) -> int:
        return await self._process.wait()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    async def until(self, told: Callable[[], bool]) -> None:
        while not told():
            assert self._process.returncode is None, self.output
            await asyncio.sleep(0.02)

    async def has_said(self, text: str) -> None:
        await self.until(lambda: text in self.output)

    async def has_started(self, part: str) -> None:
        while not any(part in line for line in await self.processes()):
            assert self._process.returncode is None, self.output
            await asyncio.sleep(0.02)

    async def processes(self) -> list[str]:
        """What still runs of all that it started: every process inherits the environment, and with it the directory."""
        style = "-axEww" if sys.platform == "darwin" else "axeww"
        ps = await asyncio.create_subprocess_exec("ps", style, "-o", "pid=,args=", stdout=asyncio.subprocess.PIPE)
        listed = (await ps.communicate())[0].decode(errors="replace").splitlines()
        return [line for line in listed if f"TMPDIR={self.directory}" in line]

    async def service_pid(self) -> int:
        lines = [line for line in await self.processes() if "-m experiment_operator all" in line]
        return next(int(line.split()[0]) for line in lines if "supervise.py" not in line)


@pytest.fixture
def start(tmp_path):
    """`async with start("demo", SETTING="value") as command`; one that is not waited for is killed."""
    directory = tmp_path / "here"
    directory.mkdir()
    outputs = (tmp_path / f"output-{number}" for number in itertools.count(1))

    @asynccontextmanager
    async def _start(name: str, **environment: str) -> AsyncIterator[Command]:
        output = next(outputs)
        with output.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "experiment_operator", name),
                cwd=directory,
                env={**os.environ, **environment, "TMPDIR": str(directory)},
                stdout=file,
                stderr=file,
            )
        try:
            yield Command(process, directory, output)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    return _start
