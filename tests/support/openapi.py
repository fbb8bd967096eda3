"""The operations of an OpenAPI document."""

from __future__ import annotations

from typing import Any, NamedTuple


class Operation(NamedTuple):
    path: str
    method: str
    content: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def streams(self) -> bool:
        return "text/event-stream" in self.content["responses"]["200"]["content"]

    def parameters(self, *places: str) -> list[dict[str, Any]]:
        return [each for each in self.content.get("parameters", []) if each["in"] in places]
