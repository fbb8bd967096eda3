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
        return "text/event-stream" in self.success.get("content", {})

    @property
    def success(self) -> dict[str, Any]:
        """What it answers where all is well: 200, unless it has none."""
        responses: dict[str, Any] = self.content["responses"]
        return dict(responses.get("200") or responses["202"])

    def parameters(self, *places: str) -> list[dict[str, Any]]:
        return [each for each in self.content.get("parameters", []) if each["in"] in places]
