"""The latest events of `broadcast`, put into bytes once for all who read them, and where each reader stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

_MAX_BYTES = 8 * 2**20
PORTION_BYTES = 16 * 2**10


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """The last event that a reader has had. Numbers of different epochs have nothing to do with each other."""

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"

    @classmethod
    def parse(cls, event_id: str) -> StreamPosition | None:
        """Read an event's id. None where it is none of ours."""
        epoch, _, number = event_id.rpartition("-")
        return cls(epoch, int(number)) if number.isdecimal() and len(number) < 20 else None

    def after(self, events: int) -> StreamPosition:
        """Go on by so many events."""
        return StreamPosition(self.epoch, self.number + events)


@dataclass(frozen=True, slots=True)
class BufferedEvent:
    """One event about one Experiment; without a namespace it is for everybody."""

    namespace: str
    name: str
    frame: bytes


def frame(event: str, data: bytes = b"{}", event_id: str | None = None) -> bytes:
    """Write an event for the wire. `data` must be one line; an empty id makes the client forget its last one."""
    mark = b"" if event_id is None else b"id: %b\n" % event_id.encode()
    return b"%bevent: %b\ndata: %b\n\n" % (mark, event.encode(), data)


class EventBuffer:
    """Bounded by its bytes, so that a few huge events take no more than many small ones."""

    def __init__(self) -> None:
        self._events: dict[int, BufferedEvent] = {}
        self._first = 1
        self._bytes = 0
        self.newest = StreamPosition(uuid4().hex[:8], 0)

    def append(self, namespace: str, name: str, event: str, data: bytes) -> None:
        """Append an event with the next number, and drop the oldest where they are too many."""
        self.newest = self.newest.after(1)
        buffered = BufferedEvent(namespace, name, frame(event, data, str(self.newest)))
        self._events[self.newest.number] = buffered
        self._bytes += len(buffered.frame)
        while self._bytes > _MAX_BYTES:
            self._bytes -= len(self._events.pop(self._first).frame)
            self._first += 1

    def since(self, position: StreamPosition) -> list[BufferedEvent] | None:
        """Return the next events, as many as make a good portion; None where this position has been left behind."""
        number, newest = position.number, self.newest.number
        if position.epoch != self.newest.epoch or not self._first - 1 <= number <= newest:
            return None
        found: list[BufferedEvent] = []
        size = 0
        while number < newest and size < PORTION_BYTES:
            number += 1
            found.append(self._events[number])
            size += len(found[-1].frame)
        return found
