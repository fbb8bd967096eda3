"""The latest events of `broadcast`, put into bytes once for all who read them, and where each reader stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

_MOST_BYTES = 8 * 2**20
PORTION_BYTES = 16 * 2**10


@dataclass(frozen=True, slots=True)
class Position:
    """The last event that a reader has had. Numbers of different epochs have nothing to do with each other."""

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"

    @classmethod
    def parse(cls, event_id: str) -> Position | None:
        epoch, _, number = event_id.rpartition("-")
        return cls(epoch, int(number)) if number.isdecimal() and len(number) < 20 else None

    def after(self, events: int) -> Position:
        return Position(self.epoch, self.number + events)


@dataclass(frozen=True, slots=True)
class Told:
    """One event about one Experiment; without a namespace it is for everybody."""

    namespace: str
    name: str
    frame: bytes


def frame(event: str, data: bytes = b"{}", event_id: str | None = None) -> bytes:
    """As it goes over the wire. `data` must be one line; an empty id makes the client forget its last one."""
    mark = b"" if event_id is None else b"id: %b\n" % event_id.encode()
    return b"%bevent: %b\ndata: %b\n\n" % (mark, event.encode(), data)


class Ring:
    """Bounded by its bytes, so that a few huge events take no more than many small ones."""

    def __init__(self) -> None:
        self._told: dict[int, Told] = {}
        self._first = 1
        self._bytes = 0
        self.newest = Position(uuid4().hex[:8], 0)

    def append(self, namespace: str, name: str, event: str, data: bytes) -> None:
        self.newest = self.newest.after(1)
        told = Told(namespace, name, frame(event, data, str(self.newest)))
        self._told[self.newest.number] = told
        self._bytes += len(told.frame)
        while self._bytes > _MOST_BYTES:
            self._bytes -= len(self._told.pop(self._first).frame)
            self._first += 1

    def since(self, position: Position) -> list[Told] | None:
        """The next events, as many as make a good portion; None where the ring has left this position behind."""
        number, newest = position.number, self.newest.number
        if position.epoch != self.newest.epoch or not self._first - 1 <= number <= newest:
            return None
        found: list[Told] = []
        size = 0
        while number < newest and size < PORTION_BYTES:
            number += 1
            found.append(self._told[number])
            size += len(found[-1].frame)
        return found
