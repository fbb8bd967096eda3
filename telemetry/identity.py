"""What this program calls itself before others: its version, and the name under which it asks."""

from __future__ import annotations

from functools import cache
from importlib import metadata

_PROGRAM = "experiment-operator"


@cache
def version() -> str:
    """Return that of the distribution."""
    return metadata.version(_PROGRAM)


def user_agent(role: str) -> str:
    """Return the User-Agent of a process or command, like `experiment-operator/0.1.0 (watcher)`."""
    return f"{_PROGRAM}/{version()} ({role})" if role else f"{_PROGRAM}/{version()}"
