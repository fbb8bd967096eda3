"""Runs one command until it ends or until whoever started this goes away: `supervise.py COMMAND ARGUMENT…`.

`processes.Process` puts this between itself and every component. Standard input is a pipe that only the starter holds
open: when it closes, be it on purpose or because the starter was killed with SIGKILL, the command and all that it
started are killed too. That holds on Linux and macOS alike, which a parent-death signal would not. It uses nothing but
the standard library and runs as a file of its own, so that it starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    # In a process group of its own, so that the kill reaches what the command itself started (go build runs compilers).
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, process_group=0)

    def kill(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of what has ended.
            os.killpg(command.pid, signal.SIGKILL)

    def kill_when_the_starter_goes() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        kill()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, kill)
    threading.Thread(target=kill_when_the_starter_goes, daemon=True).start()
    code = command.wait()
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
