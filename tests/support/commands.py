"""`demo` and `dev` as a person runs them: in a directory of their own, with all that they start."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import ClassVar

from support.polling import until
from support.processes import ServiceProcess


class Command(ServiceProcess):
    """Of which all temporary files are in `directory`, where it runs."""

    defaults: ClassVar[Mapping[str, str]] = {}

    async def ends(self) -> int:
        return await self.process.wait()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def has_started(self, part: str) -> None:
        async def is_there() -> bool:
            started = any(part in line for line in await self.processes())
            assert started or self.process.returncode is None, self.log
            return started

        await until(is_there)

    async def processes(self) -> list[str]:
        """List what still runs of all that it started: each inherits the environment, and with it the directory."""
        style = "-axEww" if sys.platform == "darwin" else "axeww"
        ps = await asyncio.create_subprocess_exec("ps", style, "-o", "pid=,args=", stdout=asyncio.subprocess.PIPE)
        listed = (await ps.communicate())[0].decode(errors="replace").splitlines()
        return [line for line in listed if f"TMPDIR={self.directory}" in line]

    async def pid_of(self, module: str) -> int:
        """Find the process that runs `python -m MODULE`."""
        lines = [line for line in await self.processes() if f"-m {module}" in line]
        return next(int(line.split()[0]) for line in lines if "supervise.py" not in line)
