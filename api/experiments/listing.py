"""Which Experiments a list shows, in which order, and where its next page begins. Pure.

It works on objects as they are cached: only those of one page are turned into summaries, by `endpoints`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import ConfigDict, Field, TypeAdapter, WithJsonSchema

from api.http import cursor
from api.http.cursor import CURSOR
from api.http.label_selector import parse
from api.http.problems import InvalidRequest
from experiments.conditions import ConditionType, Reason
from experiments.evaluation import Verdict
from experiments.models import Part
from kube.objects import Object

Key: TypeAlias = tuple[str, ...]
_KEY = TypeAdapter(Key)
Sort = Literal["name", "-name", "age", "-age", "lastReconciliation", "-lastReconciliation"]


class ListQuery(Part):
    """The parameters of a list. Unknown ones are refused: a filter that is misspelt must not look like no filter."""

    model_config = ConfigDict(populate_by_name=False, extra="forbid")

    label_selector: str = Field(
        "", max_length=1000, description="As in Kubernetes.", examples=["team=weather,stage in (dev, test)"]
    )
    ready: Annotated[bool | None, WithJsonSchema({"type": "boolean", "examples": [True]})] = Field(
        None, description="Whether the condition Ready is true."
    )
    reason: Annotated[
        Reason | None,
        WithJsonSchema({"type": "string", "enum": list(Reason), "examples": [Reason.RECONCILED]}),
    ] = Field(None, description="The reason of any of its conditions.")
    verdict: Annotated[
        Verdict | None,
        WithJsonSchema({"type": "string", "enum": list(get_args(Verdict)), "examples": ["Failed"]}),
    ] = Field(None, description="How the agent did in the last execution, once that was judged.")
    agent: str = Field(
        "", max_length=317, description="The Agent, by name or as `namespace/name`.", examples=["weather-agent"]
    )
    q: str = Field(
        "",
        max_length=200,
        description="Text in `namespace/name`, `agent` or the message of Ready, in upper or lower case.",
        examples=["weather"],
    )
    sort: Sort = Field(
        "name",
        description="`name` is namespace and name, `age` the youngest first, `lastReconciliation` the longest ago "
        "first and before it those that have had none. A `-` turns it round.",
        examples=["-age"],
    )
    limit: int = Field(100, ge=1, le=500, description="How many at most.", examples=[20])
    cursor: str = Field(
        "",
        max_length=600,
        pattern=CURSOR,
        description="`nextCursor` of the page before, with the same filters and order.",
    )


def find(objects: Iterable[Object], query: ListQuery) -> list[Object]:
    """Filter and sort. Raises InvalidRequest."""
    wanted = _filters(query)
    return sorted(
        (obj for obj in objects if all(holds(obj) for holds in wanted)), key=_key(query), reverse=_falls(query)
    )


def page(found: list[Object], query: ListQuery, scope: str) -> tuple[list[Object], str | None]:
    """Cut out the part of `found` that was asked for, and name the next. `scope` says what is listed, for the cursor.

    A page begins behind the last object of the one before, wherever that has gone: what comes or goes meanwhile neither
    moves nor repeats another. Raises InvalidRequest.
    """
    key, listed = _key(query), f"{scope} {query.model_dump_json(exclude={'cursor', 'limit'})}"
    if query.cursor:
        last = cursor.decode(query.cursor, _KEY, listed)
        found = [obj for obj in found if (key(obj) < last if _falls(query) else key(obj) > last)]
    items = found[: query.limit]
    more = len(found) > len(items)
    return items, cursor.encode(key(items[-1]), _KEY, listed) if more else None


def agent_of(obj: Object) -> str | None:
    """Name the Agent with its namespace; None for an Experiment from a time when the CRD asked for less."""
    ref = (obj.get("spec") or {}).get("agentRef") or {}
    return f"{ref.get('namespace') or obj['metadata']['namespace']}/{ref['name']}" if ref.get("name") else None


def _filters(query: ListQuery) -> list[Callable[[Object], bool]]:
    wanted: list[Callable[[Object], bool]] = []
    try:
        requirements = parse(query.label_selector)
    except ValueError as error:
        raise InvalidRequest(f"query.labelSelector: {error}", [f"query.labelSelector: {error}"]) from error
    if requirements:
        wanted.append(lambda obj: all(each.holds(obj["metadata"].get("labels") or {}) for each in requirements))
    if query.ready is not None:
        wanted.append(lambda obj: (_ready(obj).get("status") == "True") == query.ready)
    if query.reason is not None:
        wanted.append(lambda obj: any(each.get("reason") == query.reason for each in _conditions(obj)))
    if query.verdict is not None:
        wanted.append(lambda obj: _last_execution(obj).get("verdict") == query.verdict)
    if query.agent:
        wanted.append(lambda obj: query.agent in _agent_names(obj))
    if query.q:
        text = query.q.casefold()
        wanted.append(lambda obj: text in _text(obj))
    return wanted


def _agent_names(obj: Object) -> tuple[str, ...]:
    agent = agent_of(obj)
    return (agent, agent.partition("/")[2]) if agent else ()


def _text(obj: Object) -> str:
    meta = obj["metadata"]
    parts = (f"{meta['namespace']}/{meta['name']}", agent_of(obj) or "", _ready(obj).get("message") or "")
    return "\n".join(parts).casefold()


def _conditions(obj: Object) -> list[Object]:
    return (obj.get("status") or {}).get("conditions") or []


def _last_execution(obj: Object) -> Object:
    return (obj.get("status") or {}).get("lastExecution") or {}


def _ready(obj: Object) -> Object:
    return next((each for each in _conditions(obj) if each.get("type") == ConditionType.READY), {})


def _key(query: ListQuery) -> Callable[[Object], Key]:
    """Make the key to sort by. No two Experiments have the same: it ends in namespace and name."""

    def key(obj: Object) -> Key:
        meta = obj["metadata"]
        match query.sort.removeprefix("-"):
            case "age":
                first: Key = (meta["creationTimestamp"],)
            case "lastReconciliation":
                first = (((obj.get("status") or {}).get("lastReconciliation") or {}).get("time") or "",)
            case _:
                first = ()
        return (*first, meta["namespace"], meta["name"])

    return key


def _falls(query: ListQuery) -> bool:
    """Tell whether the keys fall: the younger something is, the later it was created."""
    return query.sort.startswith("-") != query.sort.endswith("age")
