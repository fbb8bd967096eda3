"""What other processes on this machine cost, from Linux' /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_SERVERS = {"etcd": "etcd", "kube-apiserver": "API server", "temporal": "Temporal"}


def cpu_seconds(pid: int) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss_megabytes(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def servers_of(*marks: str) -> dict[str, int]:
    """The servers with one of `marks` (a directory, a port) in their command line, by what they are."""
    found: dict[str, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program, *arguments = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue  # it has ended meanwhile
        if (name := _SERVERS.get(Path(program).name)) and any(mark in " ".join(arguments) for mark in marks):
            found[name] = int(process.name)
    return found
