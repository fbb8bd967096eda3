"""How often children are put right: at once, but not for ever against somebody who changes them again and again.

Only repairs count here. What a person changes in an Experiment, or another object that it depends on, is never held up.
"""

from __future__ import annotations

from collections import defaultdict, deque

from kube.objects import ObjectRef

_WINDOW_SECONDS = 60.0
MAX_REPAIRS_AT_ONCE = 5
"""Repairs of one Experiment within a minute that are made at once."""
_PAUSE_SECONDS = 15.0


class RepairLimiter:
    """Times are those of the event loop, in seconds."""

    def __init__(self) -> None:
        self._made: defaultdict[ObjectRef, deque[float]] = defaultdict(deque)

    def pause(self, experiment: ObjectRef, now: float) -> float:
        """Return how long the next repair has to wait."""
        made = self._recent(experiment, now)
        return max(0.0, made[-1] + _PAUSE_SECONDS - now) if len(made) >= MAX_REPAIRS_AT_ONCE else 0.0

    def note(self, experiment: ObjectRef, now: float) -> int:
        """Note a repair. Returns how many there were within a minute."""
        made = self._recent(experiment, now)
        made.append(now)
        self._made[experiment] = made
        return len(made)

    def forget(self, experiment: ObjectRef) -> None:
        """Drop what is known of an Experiment that is gone."""
        self._made.pop(experiment, None)

    def _recent(self, experiment: ObjectRef, now: float) -> deque[float]:
        made = self._made.get(experiment, deque[float]())
        while made and made[0] <= now - _WINDOW_SECONDS:
            made.popleft()
        return made
