"""Where a live object differs from the manifest that was applied.

What this service can set is compared both ways: a field that is no longer generated has to go, whoever owns it by now.
Of all else only what the manifest says counts: the API server fills in defaults, and other managers have fields of
their own. Lists are taken as a whole, except owner references, to which others may add.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from experiments.names import APPLIED
from experiments.resources import EXPERIMENT, TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP, FIELD_MANAGER, Object

_IDENTITY = ("apiVersion", "kind")

Pointer: TypeAlias = tuple[str | int, ...]
# Which of an object's fields this service can set: below a key, or all that is there.
_Scope: TypeAlias = "Mapping[str, _Scope] | bool"
_OWNERS: _Scope = {"ownerReferences": True}
_SETTABLE: dict[str, _Scope] = {
    CONFIG_MAP.kind: {"metadata": _OWNERS},
    TEST_WORKFLOW.kind: {
        "metadata": _OWNERS,
        "spec": {"content": {"files": True}, "container": {"env": True}, "events": True, "use": True},
    },
    TEST_TRIGGER.kind: {
        "metadata": _OWNERS,
        "spec": {
            "resourceSelector": {"name": True, "namespace": True},
            "testSelector": {"name": True, "namespace": True},
            "conditionSpec": True,
            "concurrencyPolicy": True,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Difference:
    """`path` is one like `spec.use[0].config.agentUrl`, `pointer` its parts; None where there is nothing."""

    path: str
    desired: Any
    live: Any
    pointer: Pointer = ()


def differences(desired: Object, live: Object) -> list[Difference]:
    """List where `live` says something else than `desired`."""
    scope = _SETTABLE.get(desired.get("kind", ""), False)
    wanted = {key: value for key, value in desired.items() if key not in _IDENTITY}
    return [*_compare(wanted, {key: live[key] for key in live if key not in _IDENTITY}, scope, "", ())]


def is_outdated(found: Iterable[Difference]) -> bool:
    """Tell whether the wish has changed, rather than the object: then the digest differs, too."""
    return any(difference.path == f"metadata.annotations[{APPLIED}]" for difference in found)


def editor(live: Object) -> str | None:
    """Return the field manager that last changed `live`, if it was not this service."""
    entries = [e for e in live["metadata"].get("managedFields", ()) if not e.get("subresource") and e.get("manager")]
    newest = max(entries, key=lambda e: (e.get("time", ""), e.get("manager") != FIELD_MANAGER), default=None)
    return newest["manager"] if newest and newest.get("manager") != FIELD_MANAGER else None


def corrections(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """Return the JSON Patch that makes an object say what is desired, whoever owns its fields."""
    return [_operation(difference) for difference in found]


def _operation(difference: Difference) -> dict[str, Any]:
    path = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in difference.pointer)
    if difference.desired is None:
        return {"op": "remove", "path": path}
    return {"op": "add" if difference.live is None else "replace", "path": path, "value": difference.desired}


def _compare(desired: Any, live: Any, scope: _Scope, path: str, pointer: Pointer) -> Iterator[Difference]:
    if pointer == ("metadata", "ownerReferences"):
        yield from _compare_owners(desired or [], live or [], path, pointer)
    elif isinstance(desired, dict) and isinstance(live, dict):
        extra = (key for key in live if key not in desired and _is_settable(scope, key) and not _is_void(live[key]))
        for key in (*desired, *extra):
            below = scope if isinstance(scope, bool) else scope.get(key, False)
            # `True` below a key means all of it; a mapping, only the keys that it names.
            yield from _compare_field(desired.get(key), live.get(key), below, _below(path, key), (*pointer, key))
    elif isinstance(desired, list) and isinstance(live, list) and len(desired) == len(live):
        for i, (a, b) in enumerate(zip(desired, live, strict=True)):
            yield from _compare(a, b, scope, f"{path}[{i}]", (*pointer, i))
    elif desired != live or type(desired) is not type(live):
        yield Difference(path, desired, live, pointer)


def _compare_field(desired: Any, live: Any, scope: _Scope, path: str, pointer: Pointer) -> Iterator[Difference]:
    if desired is None and isinstance(live, dict) and not isinstance(scope, bool):
        desired = {}  # only what is settable below it has to go
    yield from _compare(desired, live, scope, path, pointer)


def _compare_owners(desired: list[Any], live: list[Any], path: str, pointer: Pointer) -> Iterator[Difference]:
    """Compare owners. Others may add some; one of this service's kind that is not meant any more has to go."""
    owners = {owner["uid"]: owner for owner in live}
    kept = [owner for owner in live if not _is_experiment(owner) or owner["uid"] in {o["uid"] for o in desired}]
    if len(kept) != len(live) or not all(_covers(owner, owners.get(owner["uid"])) for owner in desired):
        others = [owner for owner in kept if owner["uid"] not in {o["uid"] for o in desired}]
        yield Difference(path, [*others, *desired] or None, live or None, pointer)


def _is_experiment(owner: Mapping[str, Any]) -> bool:
    group = EXPERIMENT.api_version.partition("/")[0]
    return owner.get("kind") == EXPERIMENT.kind and str(owner.get("apiVersion")).partition("/")[0] == group


def _covers(desired: Any, live: Any) -> bool:
    return not any(_compare(desired, live, False, "", ()))


def _is_settable(scope: _Scope, key: str) -> bool:
    return scope if isinstance(scope, bool) else key in scope


def _is_void(value: Any) -> bool:
    """Tell whether it says no more than nothing at all would."""
    return value in (None, {}, [], "", False)


def _below(path: str, key: str) -> str:
    return f"{path}[{key}]" if "/" in key or "." in key else f"{path}.{key}".removeprefix(".")
