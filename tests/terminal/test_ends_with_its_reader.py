"""Whoever pipes a command into `head` sees what he asked for, and no traceback; the shell sees what SIGPIPE leaves."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "deploy" / "samples" / "experiment-scenarios.yaml"
FAILING = ["render", "/nowhere.yaml"]
COMMANDS = [
    ["--help"],
    ["--version"],
    ["crd"],
    ["completion", "bash"],
    ["render", str(SAMPLE)],
    ["doctor"],
    ["doctor", "--output=json"],
    ["history", "weather"],
    ["history", "weather", "--output=yaml"],
    ["history", "weather", "--follow"],
    ["run", "weather"],
    ["executions", "weather"],
    ["executions", "weather", "--output=yaml"],
    ["why", "weather"],
    ["plan", f"--file={SAMPLE}"],
    ["migrate-from-go-operator", "--dry-run"],
]


@pytest.fixture
def unread(environ):
    """`unread(command, stderr=…)`: how it ends when nobody reads its output."""

    def run(arguments, **more):
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "experiment_operator", *arguments]
        with os.fdopen(writer, "wb") as stdout:
            done = subprocess.run(
                command,
                env={**environ, **more},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT if arguments == FAILING else subprocess.PIPE,
                timeout=60,
                check=False,
            )
        return done.returncode, done.stderr

    return run


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("weather")
async def test_a_command_whose_reader_is_gone_ends_without_a_word(unread, cluster, arguments):
    admin = {"KUBECONFIG": str(cluster.kubeconfig)} if arguments[0] in {"doctor", "migrate-from-go-operator"} else {}
    # On a thread: the simulated Testkube lives in this one.
    assert await asyncio.to_thread(unread, arguments, **admin) == (141, b"")


def test_errors_that_nobody_reads_end_a_command_quietly(unread):
    assert unread(FAILING)[0] == 141


def test_help_of_a_command_ends_so_too(environ):
    script = f"{sys.executable} -m experiment_operator api --help | head -1"
    done = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout.split()[:3], done.stderr) == (["usage:", "experiment-operator", "api"], "")
