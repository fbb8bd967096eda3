"""TAB completes commands, flags, their values and Experiments' names, in each shell as it is when people type."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# What each is started with, reading its setup from $SETUP.
SHELLS = {
    "bash": ["bash", "--rcfile", "{setup}", "-i"],
    "zsh": ["zsh", "-d", "-i"],
    "fish": ["fish", "--no-config", "-i", "--init-command", "source {setup}"],
}
SETUP = {
    "bash": 'source "$SCRIPT"\nbind "set enable-bracketed-paste off"\n',
    "zsh": 'autoload -Uz compinit && compinit -u -D\neval "$(cat "$SCRIPT")"\n',
    "fish": "source $SCRIPT\n",
}
NAME_OF = "experiment.testbench.agentic-layer.ai"


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """`script("bash")`: what `experiment-operator completion bash` prints, in a file."""
    directory = tmp_path_factory.mktemp("completion")

    def write(shell):
        path = directory / shell
        if not path.exists():
            command = [sys.executable, "-m", "experiment_operator", "completion", shell]
            path.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return path

    return write


@pytest.fixture
def press(script, tmp_path):
    r"""`press("bash", "exec\t")`: the arguments with which the program is started when Enter follows."""

    def stub(name, body):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    stub("experiment-operator", f'printf "%s\\n" "$@" >"{tmp_path}/typed"')
    stub("kubectl", f'case "$*" in *--namespace=other*) echo {NAME_OF}/snow ;; *) echo {NAME_OF}/weather ;; esac')

    def run(shell, line):
        if not shutil.which(shell):
            pytest.skip(f"THERE IS NO {shell.upper()} HERE: its completion is not tried")
        setup = tmp_path / ".zshrc"
        setup.write_text(SETUP[shell])
        command = [part.format(setup=setup) for part in SHELLS[shell]]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("EXPERIMENT_OPERATOR_")}
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "SCRIPT": str(script(shell))}
        _type(command, {**inherited, **own, "TERM": "xterm"}, f"experiment-operator {line}\nexit\n", tmp_path)
        return (tmp_path / "typed").read_text().splitlines()

    return run


def _type(command, environ, text, directory):
    """Run a program on a terminal of its own, into which that is typed, until it ends."""
    master, slave = pty.openpty()
    # A process without a terminal that opens one has it from then on, as its controlling one.
    start = [
        "sh",
        "-c",
        'terminal=$1; shift; exec "$@" <"$terminal" >"$terminal" 2>&1',
        "sh",
        os.ttyname(slave),
        *command,
    ]
    os.write(master, text.encode())
    process = subprocess.Popen(
        start, env=environ, cwd=directory, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    os.close(slave)
    with contextlib.suppress(OSError):  # EIO says that nobody has it open any more
        while os.read(master, 4096):
            pass
    process.wait(60)
    os.close(master)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("exec\t", ["executions"]),
        ("scores weather --ba\t", ["scores", "weather", "--base"]),
        ("executions weather --verdict Fai\t", ["executions", "weather", "--verdict", "Failed"]),
        ("why wea\t", ["why", "weather"]),
        ("why -n other \t", ["why", "-n", "other", "snow"]),
        ("completion zs\t", ["completion", "zsh"]),
    ],
    ids=lambda each: each.strip() if isinstance(each, str) else "",
)
def test_tab_completes(press, shell, line, expected):
    assert press(shell, line) == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_a_files_name_is_completed_where_one_is_wanted(press, shell, tmp_path):
    Path(tmp_path / "weather.yaml").touch()
    assert press(shell, "render weath\t") == ["render", "weather.yaml"]
