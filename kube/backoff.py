"""How long to wait before the next attempt at something that may fail for a long time, such as a watch."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double up to a limit, with jitter, so that many watchers do not come back at the same moment."""

    def __init__(self, first: float, max_pause: float) -> None:
        self._first = first
        self._max_pause = max_pause
        self._pause = 0.0

    def pause_after(self, lived: float) -> float:
        """Return the pause after an attempt that `lived` so many seconds; one that outlived the last pause resets it.

        How it ended does not matter: a server that answers 200 and closes at once is no better than one that fails.
        """
        self._pause = self._first if lived >= self._pause else min(2 * self._pause, self._max_pause)
        return self._pause * random.uniform(0.5, 1.0)  # noqa: S311  no secret depends on it
