"""JSON that others have written, made fit to be sent on. Pure."""

from __future__ import annotations

from typing import Any

_MAX_LEVELS = 200


def sendable(value: Any, levels: int = _MAX_LEVELS) -> Any:
    """Replace by null what is nested deeper than pydantic writes, and in texts what no UTF-8 can say."""
    if isinstance(value, str):
        return text(value)
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return None
    if isinstance(value, list):
        return [sendable(each, levels - 1) for each in value]
    return {text(key): sendable(each, levels - 1) for key, each in value.items()}


def text(value: str) -> str:
    """Replace halves of characters, which JSON can hold and UTF-8 cannot."""
    return value.encode(errors="replace").decode()
