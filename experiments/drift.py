"""Where a live object differs from the one that was applied: compared only on what is applied.

The API server fills in defaults, other managers own fields of their own; neither is a difference. Lists are taken as a
whole, except owner references, to which others may add.
"""

from __future__ import annotations

from typing import Any

from experiments.manifests import APPLIED
from experiments.names import MANAGER
from experiments.objects import Object

_IDENTITY = ("apiVersion", "kind")


def differences(desired: Object, live: Object) -> list[str]:
    """Paths of `desired` at which `live` says something else, like `spec.use[0].config.agentUrl`."""
    return [path for key in desired if key not in _IDENTITY for path in _compare(desired[key], live.get(key), key)]


def is_outdated(paths: list[str]) -> bool:
    """Whether the wish has changed, rather than the object: then the digest differs, too."""
    return f"metadata.annotations[{APPLIED}]" in paths


def editor(live: Object) -> str | None:
    """The field manager that last changed `live`, if it was not this service."""
    entries = [e for e in live["metadata"].get("managedFields", ()) if not e.get("subresource")]
    newest = max(entries, key=lambda e: (e.get("time", ""), e.get("manager") != MANAGER), default=None)
    return newest["manager"] if newest and newest.get("manager") != MANAGER else None


def _compare(desired: Any, live: Any, path: str) -> list[str]:
    if path == "metadata.ownerReferences":
        owners = {owner["uid"]: owner for owner in live or ()}
        return [] if all(_covers(owner, owners.get(owner["uid"])) for owner in desired) else [path]
    if isinstance(desired, dict) and isinstance(live, dict):
        return [p for key, value in desired.items() for p in _compare(value, live.get(key), _below(path, key))]
    if isinstance(desired, list) and isinstance(live, list) and len(desired) == len(live):
        pairs = zip(desired, live, strict=True)
        return [p for i, (a, b) in enumerate(pairs) for p in _compare(a, b, f"{path}[{i}]")]
    return [] if desired == live and type(desired) is type(live) else [path]


def _covers(desired: Any, live: Any) -> bool:
    return not _compare(desired, live, "")


def _below(path: str, key: str) -> str:
    return f"{path}[{key}]" if "/" in key or "." in key else f"{path}.{key}".removeprefix(".")
