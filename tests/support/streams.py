"""A reader of server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from support.background import running


class Stream:
    """What a reader of server-sent events has received so far."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.events: list[dict[str, Any]] = []
        self.comments = 0
        self.last_id = ""
        self.ended = False

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]

    def of(self, namespace: str, name: str) -> list[str]:
        """The names of the events about this Experiment."""
        about = [event for event in self.events if event["data"].get("name") == name]
        return [event["event"] for event in about if event["data"]["namespace"] == namespace]

    async def read(self) -> None:
        fields: dict[str, str] = {}
        async for line in self.response.aiter_lines():
            field, _, value = line.partition(": ")
            if line:
                fields[field] = value
                self.comments += not field
            elif "event" in fields:
                self.last_id = fields.get("id", self.last_id)
                self.events.append({**fields, "data": json.loads(fields["data"])})
            if not line:
                fields = {}
        self.ended = True


@asynccontextmanager
async def follow(api: httpx.AsyncClient, path: str, last_event_id: str = "", **headers: str) -> AsyncIterator[Stream]:
    """Read the events of this path until the block is left."""
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    async with api.stream("GET", f"/api/v1{path}", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        stream = Stream(response)
        async with running(stream.read()):
            yield stream
