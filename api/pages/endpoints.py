"""The pages: `/` lists the Experiments that the caller may see, and behind each of them is what happened to it.

They show what REST answers, by the same functions and to the same people. A page is whole without any script; with
them, parts of it are fetched again when there is news.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from api.auth.dependencies import Caller, MayGet, TheCaller
from api.dependencies import AppState, State, listable_experiments, read_subject, require_filled
from api.events.endpoints import LastEventId, follow_all
from api.executions.comparison import Base, Head, comparison
from api.executions.endpoints import ExecutionId, described, list_executions
from api.executions.pages import ExecutionQuery, TimeQuery
from api.executions.schemas import ExecutionPage
from api.executions.sources import Sources
from api.experiments.children import children
from api.experiments.listing import ListQuery, find, page
from api.http.etag import stale
from api.http.path import Name, Namespace
from api.http.problems import InvalidRequest, ServiceUnavailable, TemporalUnavailable
from api.pages import views
from api.pages.charts import TONES
from api.pages.html import PageRoute, render
from api.plans.endpoints import plan_view
from api.timeline.endpoints import get_timeline
from api.timeline.schemas import TimelinePage
from experiments import yaml
from experiments.admission import review
from experiments.conditions import ConditionType
from experiments.contract import Target
from experiments.models import Part, sentences
from experiments.options import NeighbourCheck
from experiments.plan import plan
from experiments.resources import EXPERIMENT
from experiments.snapshot import Snapshot
from kube.objects import Object
from testkube.executions import UNFINISHED

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_ROWS = 50
_ENTRIES = 20
_OF_ONE = "/experiments/{namespace}/{name}"

_Q = TypeVar("_Q", bound=Part)


@router.get("/")
async def list_page(request: Request, state: State, caller: TheCaller) -> Response:
    query = _query(request)
    found, shown, next_cursor = await _listed(query, state, caller)
    now = datetime.now(UTC)
    return render(
        request,
        "list.html",
        query=query,
        search=_search(query, query.cursor),
        first=_search(query, "") if query.cursor else None,
        next=_search(query, next_cursor) if next_cursor else None,
        rows=[views.row(obj, now) for obj in shown],
        total=len(found),
        stale=stale(state.caches, EXPERIMENT),
    )


@router.get("/trends")
async def trends_part(request: Request, state: State, caller: TheCaller) -> Response:
    """Answer with the sparklines of a page of the list, for which that does not wait."""
    _, shown, _ = await _listed(_query(request), state, caller)
    targets = [Target(obj["metadata"]["namespace"], obj["metadata"]["name"], obj["metadata"]["uid"]) for obj in shown]
    try:
        found, away = await state.followers.of_all(targets, _ROWS * views.TREND), ""
    except TemporalUnavailable as refusal:
        found, away = [], str(refusal)
    return render(request, "trends.html", trends=views.trends(found), away=away)


@router.get("/news")
async def news(state: State, caller: TheCaller, last_event_id: LastEventId = "") -> Response:
    """Follow what happens from now on: a page has the present state already."""
    require_filled(state.caches)
    return await follow_all(state, caller, last_event_id or str(state.broadcast.buffer.newest))


@router.get(_OF_ONE, dependencies=[MayGet])
async def experiment_page(
    request: Request, namespace: Namespace, name: Name, state: State, caller: TheCaller, *, cursor: str | None = None
) -> Response:
    subject = await read_subject(state, namespace, name)
    obj, status = subject.obj, subject.status
    planned = await state.beside(_planned, Snapshot.take(subject, state.caches), state.neighbour_check)
    timeline = await _timeline(namespace, name, _read(TimeQuery, {"limit": _ENTRIES, "cursor": cursor}), state)
    return render(
        request,
        "experiment.html",
        row=views.row(obj, datetime.now(UTC)),
        behind=(status.observed_generation or 0) < obj["metadata"]["generation"],
        notices=views.notices(status),
        last=status.last_execution,
        agent_url=status.agent_url,
        agent_url_from=status.condition(ConditionType.AGENT_RESOLVED),
        **planned,
        entries=[views.entry(item) for item in timeline.items],
        next_cursor=timeline.next_cursor,
        unavailable=timeline.unavailable,
        cursor=cursor,
        stale=stale(state.caches),
        may_update=await caller.may("update", namespace),
        evaluates=state.testkube is not None,
    )


def _planned(snapshot: Snapshot, neighbour_check: NeighbourCheck) -> dict[str, Any]:
    made = plan(snapshot)
    said = plan_view(made, review(snapshot, neighbour_check=neighbour_check))
    return {"plan": said, "children": list(children(made)), "states": views.CHILD_STATES}


async def _timeline(namespace: str, name: str, query: TimeQuery, state: AppState) -> TimelinePage:
    """Read it, or say why it cannot be read: the rest of the page does not need it."""
    try:
        return await get_timeline(namespace, name, query, state)
    except ServiceUnavailable as refusal:
        return TimelinePage(items=[], next_cursor=None, unavailable=[str(refusal)])


@router.get(f"{_OF_ONE}/manifests", dependencies=[MayGet])
async def manifests_page(request: Request, namespace: Namespace, name: Name, state: State) -> Response:
    subject = await read_subject(state, namespace, name)
    made = await state.beside(plan, Snapshot.take(subject.unsuspended(), state.caches))
    return render(
        request,
        "manifests.html",
        problems=[str(problem) for problem in made.problems],
        generated=await state.beside(lambda: yaml.write(made.manifests)),
        itself=await state.beside(yaml.write, [_without_managed_fields(subject.obj)]),
    )


def _without_managed_fields(obj: Object) -> Object:
    meta = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    named = {"apiVersion": EXPERIMENT.api_version, "kind": EXPERIMENT.kind}
    return {**named, **obj, "metadata": meta}


@router.get(f"{_OF_ONE}/executions", dependencies=[MayGet])
async def executions_page(
    request: Request, namespace: Namespace, name: Name, state: State, cursor: str | None = None
) -> Response:
    query = _read(ExecutionQuery, {"limit": _ROWS, "cursor": cursor})
    try:
        found = await list_executions(namespace, name, query, state)
    except ServiceUnavailable as refusal:
        found = ExecutionPage(items=[], next_cursor=None, unavailable=[str(refusal)])
    return render(
        request,
        "executions.html",
        found=found,
        cursor=cursor,
        entries=[views.execution_entry(each) for each in found.items],
        plots=views.plots(found.items),
    )


@router.get(f"{_OF_ONE}/executions/compare", dependencies=[MayGet])
async def compare_page(
    request: Request, namespace: Namespace, name: Name, state: State, *, base: Base = None, head: Head = None
) -> Response:
    found = await comparison(Sources.of(state, namespace, name), base, head, state.beside)
    return render(request, "compare.html", found=found, tones=TONES)


@router.get(f"{_OF_ONE}/executions/{{execution}}", dependencies=[MayGet])
async def execution_page(
    request: Request, namespace: Namespace, name: Name, execution: ExecutionId, state: State, *, caller: TheCaller
) -> Response:
    found = await described(state, namespace, name, execution)
    unfinished = found.status in UNFINISHED and state.testkube is not None
    return render(
        request,
        "execution.html",
        found=found,
        entry=views.execution_entry(found),
        tones=TONES,
        may_abort=unfinished and await caller.may("update", namespace),
    )


def _query(request: Request) -> ListQuery:
    """Read the filters. A form sends those, too, that are empty."""
    return _read(ListQuery, {"limit": _ROWS, **{key: value for key, value in request.query_params.items() if value}})


def _read(kind: type[_Q], given: dict[str, Any]) -> _Q:
    """Read parameters. Raises InvalidRequest."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise InvalidRequest.naming([f"query.{line}" for line in sentences(error)]) from None


def _search(query: ListQuery, cursor: str) -> str:
    """Write the filters as they stand in the address of a page."""
    chosen = query.model_copy(update={"cursor": cursor}).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return urlencode({key: str(value).lower() if value in {True, False} else value for key, value in chosen.items()})


async def _listed(query: ListQuery, state: AppState, caller: Caller) -> tuple[list[Object], list[Object], str | None]:
    """Find all Experiments that are wanted and may be seen, those of one page, and where the next begins."""
    found = find(await listable_experiments(state, caller), query)
    return found, *page(found, query, "page")
