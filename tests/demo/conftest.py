"""The commands `demo` and `dev`, which start clusters of their own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from support.commands import Command


@pytest.fixture
def start(
    folder: str,  # noqa: ARG001 - what ran for another one ends
    tmp_path: Path,
) -> Callable[..., AbstractAsyncContextManager[Command]]:
    """`async with start("demo", SETTING="value") as command`; one that is not waited for is killed."""
    directory = tmp_path / "here"
    directory.mkdir()
    outputs = (tmp_path / f"output-{number}" for number in itertools.count(1))

    @asynccontextmanager
    async def run(name: str, **environment: str) -> AsyncIterator[Command]:
        places = {**environment, "TMPDIR": str(directory)}
        command = await Command.start(name, next(outputs), places, cwd=directory)
        try:
            yield command
        finally:
            await command.kill()

    return run
