"""Colours are for a terminal whose owner wants them: none in a pipe, none with NO_COLOR; the words stay the same."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess

import pytest

from support.processes import COMMAND
from support.scripted_api import page, row

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# By https://no-color.org, bold and the like may stay.
_SETS_COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")


@pytest.fixture
def shown(scripted, tmp_path):
    """`await shown("executions", "weather", NO_COLOR="1")`: what a terminal gets."""
    scripted.pages = [page(row("Failed", (17, 3, 0)), row("Passed", (20, 0, 0), number=11))]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EXPERIMENT_OPERATOR_")}
    own = {"EXPERIMENT_OPERATOR_SERVER": scripted.url, "KUBECONFIG": str(tmp_path / "none"), "TERM": "xterm-256color"}
    environ = {**inherited, **own, "EXPERIMENT_OPERATOR_NAMESPACE": "team", "TZ": "UTC", "COLUMNS": "200"}
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        environ.pop(name, None)

    def run(arguments, more):
        master, slave = pty.openpty()
        process = subprocess.Popen([*COMMAND, *arguments], env={**environ, **more}, stdout=slave)
        os.close(slave)
        said = b""
        while part := _read(master):
            said += part
        os.close(master)
        assert process.wait(60) == 0
        return said.decode().replace("\r\n", "\n")

    async def show(*arguments, **more):
        return await asyncio.to_thread(run, arguments, more)

    return show


def _read(master):
    try:
        return os.read(master, 4096)
    except OSError:  # EIO says that nobody has it open any more
        return b""


async def test_a_terminal_gets_colours(shown):
    assert _SETS_COLOUR.search(await shown("executions", "weather"))


async def test_no_color_takes_them_away_and_leaves_the_words(shown):
    said = await shown("executions", "weather", NO_COLOR="1")
    assert not _SETS_COLOUR.search(said)
    assert _COLOUR.sub("", said) == _COLOUR.sub("", await shown("executions", "weather"))


async def test_an_empty_no_color_counts_as_none(shown):
    assert _SETS_COLOUR.search(await shown("executions", "weather", NO_COLOR=""))


async def test_a_terminal_that_can_show_none_gets_none(shown):
    assert "\x1b" not in await shown("executions", "weather", TERM="dumb")


@pytest.mark.parametrize("output", ["json", "yaml"])
async def test_documents_have_none_anywhere(shown, output):
    assert "\x1b" not in await shown("executions", "weather", "-o", output)


@pytest.mark.parametrize("output", ["text", "wide"])
async def test_a_pipe_gets_whole_lines_without_any(type_at, scripted, output):
    message = "a reason that goes on and on " * 20
    scripted.pages = [page(row("Failed", (17, 3, 0), message=message.strip()))]
    answer = await type_at("executions", "weather", "-o", output, COLUMNS="40", TERM="xterm-256color")
    assert "\x1b" not in answer.out
    assert f"    {message.strip()}" in answer.out.splitlines()
