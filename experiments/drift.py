"""Where a live object differs from the one that was applied: compared only on what is applied.

The API server fills in defaults, other managers own fields of their own; neither is a difference. Lists are taken as a
whole, except owner references, to which others may add.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from experiments.names import APPLIED, MANAGER
from kube.objects import Object

_IDENTITY = ("apiVersion", "kind")


@dataclass(frozen=True, slots=True)
class Difference:
    """`path` is one like `spec.use[0].config.agentUrl`; None where there is nothing."""

    path: str
    desired: Any
    live: Any


def differences(desired: Object, live: Object) -> list[Difference]:
    """Where `live` says something else than `desired`."""
    found = (_compare(desired[key], live.get(key), key) for key in desired if key not in _IDENTITY)
    return [difference for some in found for difference in some]


def is_outdated(found: Iterable[Difference]) -> bool:
    """Whether the wish has changed, rather than the object: then the digest differs, too."""
    return any(difference.path == f"metadata.annotations[{APPLIED}]" for difference in found)


def editor(live: Object) -> str | None:
    """The field manager that last changed `live`, if it was not this service."""
    entries = [e for e in live["metadata"].get("managedFields", ()) if not e.get("subresource")]
    newest = max(entries, key=lambda e: (e.get("time", ""), e.get("manager") != MANAGER), default=None)
    return newest["manager"] if newest and newest.get("manager") != MANAGER else None


def _compare(desired: Any, live: Any, path: str) -> Iterator[Difference]:
    if path == "metadata.ownerReferences":
        owners = {owner["uid"]: owner for owner in live or ()}
        if not all(_covers(owner, owners.get(owner["uid"])) for owner in desired):
            yield Difference(path, desired, live)
    elif isinstance(desired, dict) and isinstance(live, dict):
        for key, value in desired.items():
            yield from _compare(value, live.get(key), _below(path, key))
    elif isinstance(desired, list) and isinstance(live, list) and len(desired) == len(live):
        for i, (a, b) in enumerate(zip(desired, live, strict=True)):
            yield from _compare(a, b, f"{path}[{i}]")
    elif desired != live or type(desired) is not type(live):
        yield Difference(path, desired, live)


def _covers(desired: Any, live: Any) -> bool:
    return not any(_compare(desired, live, ""))


def _below(path: str, key: str) -> str:
    return f"{path}[{key}]" if "/" in key or "." in key else f"{path}.{key}".removeprefix(".")
