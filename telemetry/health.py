"""Is this process alive, and is it ready? The event loop says so once a second; threads of the listener read it.

Alive means that the loop still comes round: what else is wrong, a restart does not cure. Ready means that the sources
of each role are there: caches filled once, Temporal within reach.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence

import structlog

from telemetry import metrics

log = structlog.get_logger(__name__)

_PULSE_SECONDS = 1.0
_WEDGED_SECONDS = 20.0

_needs: dict[str, Callable[[], Sequence[str]]] = {}


def needs(source: str, lacks: Callable[[], Sequence[str]]) -> None:
    """Have this process ready only while `lacks` is empty; else it says in words what `source` lacks.

    It is called on the event loop. Replaces what was said of `source` before.
    """
    _needs[source] = lacks


def missing() -> tuple[str, ...]:
    """Say what this process lacks, in words, and count it; empty where it is ready.

    To be called on the event loop, as also the api does for its own `/readyz`.
    """
    found: list[str] = []
    for source, lacks in _needs.items():
        words = lacks()
        metrics.READY.labels(source).set(not words)
        found += [f"{source}: {each}" for each in words]
    return tuple(found)


class Pulse:
    """What the event loop tells of itself. `run` belongs to the loop, the rest may be read from any thread."""

    def __init__(self, *, wedged_seconds: float = _WEDGED_SECONDS) -> None:
        self.missing: tuple[str, ...] = ("the process is starting",)
        self._wedged_seconds = wedged_seconds
        self._beat = time.monotonic()
        self._loop_thread = threading.get_ident()
        self._complained = 0.0
        metrics.LOOP_LAG.set_function(lambda: self.silence)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._beat = time.monotonic()
            self._loop_thread = threading.get_ident()
            self.missing = missing()
            metrics.sample()
            await asyncio.sleep(_PULSE_SECONDS)

    @property
    def silence(self) -> float:
        """Seconds since the event loop last came round."""
        return time.monotonic() - self._beat

    @property
    def wedged(self) -> bool:
        """Whether the loop hangs. Once for each time that it does, the log is told where."""
        if self.silence < self._wedged_seconds:
            return False
        if self._complained != self._beat:
            self._complained = self._beat
            frame = sys._current_frames().get(self._loop_thread)
            log.error("the event loop hangs", seconds=round(self.silence), at="".join(traceback.format_stack(frame)))
        return True
