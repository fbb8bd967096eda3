"""How many runs may be under way at once.

Of those that follow a change of something else, as many as workers carry easily (`Window`). Thousands of Experiments
may follow one Agent. Started all at once, they would have every worker busy for minutes, and an Experiment that a
person has just changed would wait behind them. Nobody tells the watcher how many workers there are, so the window opens
while runs report briskly, and closes when they do not.

Of all, where a worker in this process carries them out, as many as it has room for (`Room`).
"""

from __future__ import annotations

from itertools import islice

from kube.objects import ObjectRef

_FEWEST = 4.0
_BRISK_SECONDS = 0.3
"""A run takes a third of this where nothing else is to be done."""
_ROOM = 6
"""Of the 16 that a worker does at once. With eight, a third took the detour: polls and ends take places, too."""
PATIENCE = 2.0


class Window:
    """Times are those of the event loop, in seconds."""

    def __init__(self) -> None:
        self._size = _FEWEST
        self._open: dict[ObjectRef, float] = {}

    @property
    def is_full(self) -> bool:
        return len(self._open) >= self._size

    def begin(self, experiment: ObjectRef, now: float) -> None:
        """Note that a run was started."""
        self._open[experiment] = now

    def end(self, experiment: ObjectRef, now: float) -> bool:
        """Note that it has reported, or is given up. Tell whether it was under way."""
        began = self._open.pop(experiment, None)
        if began is None:
            return False
        change = 1 / self._size if now - began < _BRISK_SECONDS else -0.5
        self._size = max(_FEWEST, self._size + change)
        return True


class Room:
    """What a worker has room for gets to it without a detour, which saves Temporal a quarter of its work.

    A run that is still under way after `PATIENCE` waits for something, and keeps nobody from the worker.
    """

    def __init__(self) -> None:
        self._open: dict[ObjectRef, float] = {}

    def is_full(self, now: float) -> bool:
        newest = list(islice(reversed(self._open.values()), _ROOM))
        return len(newest) == _ROOM and now - newest[-1] < PATIENCE

    def begin(self, experiment: ObjectRef, now: float) -> None:
        """Note that a run was started."""
        self._open.pop(experiment, None)
        self._open[experiment] = now

    def end(self, experiment: ObjectRef) -> bool:
        """Note that it has reported, or is given up. Tell whether it was under way."""
        return self._open.pop(experiment, None) is not None
