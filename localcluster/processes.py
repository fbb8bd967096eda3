"""Child processes that end with this one, and how to wait until they serve.

Every component of the local cluster is a `Process`: it runs under `supervise.py`, writes its output to a log file in
the data directory, and when it dies at start the error carries the last lines of that log. What to run is up to others.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import httpx

from localcluster.errors import AddressInUseError, ProcessError

T = TypeVar("T")

_SUPERVISE = Path(__file__).with_name("supervise.py")
_POLL = 0.02
_LOG_LINES = 12
_ANSWER_LIMIT = 2.0
_PORT_ATTEMPTS = 5


class Process:
    """A running command. Whoever starts one has to await `stop`."""

    def __init__(self, name: str, log: Path, popen: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.log = log
        self._popen = popen

    @classmethod
    def start(
        cls,
        command: Sequence[str | Path],
        log: Path,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Start `command`; its standard output and error replace the content of `log`."""
        # A session of its own: Ctrl-C in the terminal reaches this process only, which then stops the others in order.
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, "-I", "-S", _SUPERVISE, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=environ,
                start_new_session=True,
            )
        return cls(log.stem, log, popen)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    async def until(self, ready: Callable[[], Awaitable[bool]], limit: float = 60) -> None:
        """Wait until `ready()`. When it ends before that, or after `limit` seconds: stop it, raise ProcessError.

        `ready` has to give up soon by itself: another process that has taken the port may leave it without an answer.
        """
        problem = "ended before it was ready"
        try:
            async with asyncio.timeout(limit):
                while self.running:
                    if await ready():
                        return
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            problem = f"was not ready after {limit:g} s"
        await self.stop()
        raise self._error(problem)

    def check(self) -> None:
        """Raise ProcessError when it has ended with an error."""
        if self._popen.returncode:
            raise self._error(f"ended with exit code {self._popen.returncode}")

    async def stop(self) -> None:
        """Kill it, and return when it is gone and its ports are free. Does nothing when it has ended already."""
        if self._popen.stdin:
            self._popen.stdin.close()
        await asyncio.to_thread(self._popen.wait)

    def _error(self, what: str) -> ProcessError:
        tail = "\n".join(f"    {line}" for line in self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        kind = AddressInUseError if "address already in use" in tail.lower() else ProcessError
        return kind(f"{self.name} {what}. The end of {self.log}:\n{tail}")


async def answers(http: httpx.AsyncClient, url: str) -> bool:
    """Tell whether what is there answers that it is fine, and soon."""
    try:
        return (await http.get(url, timeout=_ANSWER_LIMIT)).is_success
    except httpx.TransportError:
        return False


async def on_free_ports(count: int, start: Callable[[list[int]], Awaitable[T]]) -> T:
    """Await `start(ports)`, again with others as long as it raises AddressInUseError (at most five times)."""
    for _ in range(_PORT_ATTEMPTS - 1):
        try:
            return await start([free_port() for _ in range(count)])
        except AddressInUseError:
            continue
    return await start([free_port() for _ in range(count)])


def free_port() -> int:
    """Find a port of 127.0.0.1 that the system gives to nobody else for about a minute.

    A connection that was closed on its side leaves the port in TIME_WAIT: the system then passes over it when somebody
    asks for any free port (a second cluster that starts at the same moment), while a server can listen on it by number.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    return port
