"""The pages: `/` lists the Experiments that the caller may see, and behind each of them is what happened to it.

They show what REST answers, by the same functions and to the same people. A page is whole without any script; with
them, parts of it are fetched again when there is news.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from api.auth.dependencies import Caller, TheCaller
from api.dependencies import AppState, State, require_filled
from api.events.endpoints import LastEventId, follow_all
from api.experiments.listing import ListQuery, find, page
from api.http.etag import stale
from api.http.problems import InvalidRequest, TemporalUnavailable
from api.pages.html import PageRoute, render
from api.pages.views import TREND, row, trends
from experiments.contract import Target
from experiments.models import sentences
from experiments.resources import EXPERIMENT
from kube.objects import Object

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_ROWS = 50


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
        rows=[row(obj, now) for obj in shown],
        total=len(found),
        stale=stale(state.caches, EXPERIMENT),
    )


@router.get("/trends")
async def trends_part(request: Request, state: State, caller: TheCaller) -> Response:
    """Answer with the sparklines of a page of the list, for which that does not wait."""
    _, shown, _ = await _listed(_query(request), state, caller)
    targets = [Target(obj["metadata"]["namespace"], obj["metadata"]["name"], obj["metadata"]["uid"]) for obj in shown]
    try:
        found, away = await state.followers.of_all(targets, _ROWS * TREND), ""
    except TemporalUnavailable as refusal:
        found, away = [], str(refusal)
    return render(request, "trends.html", trends=trends(found), away=away)


@router.get("/news")
async def news(state: State, caller: TheCaller, last_event_id: LastEventId = "") -> Response:
    """Follow what happens from now on: a page has the present state already."""
    require_filled(state.caches)
    return await follow_all(state, caller, last_event_id or str(state.broadcast.newest))


def _query(request: Request) -> ListQuery:
    """Read the filters. A form sends those, too, that are empty."""
    given = {key: value for key, value in request.query_params.items() if value}
    try:
        return ListQuery.model_validate({"limit": _ROWS, **given})
    except ValidationError as error:
        lines = [f"query.{line}" for line in sentences(error)]
        raise InvalidRequest("; ".join(lines) + ".", lines) from None


def _search(query: ListQuery, cursor: str) -> str:
    """Write the filters as they stand in the address of a page."""
    chosen = query.model_copy(update={"cursor": cursor}).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return urlencode({key: str(value).lower() if value in {True, False} else value for key, value in chosen.items()})


async def _listed(query: ListQuery, state: AppState, caller: Caller) -> tuple[list[Object], list[Object], str | None]:
    """Find all Experiments that are wanted and may be seen, those of one page, and where the next begins."""
    require_filled(state.caches)
    objects = state.caches.objects(EXPERIMENT)
    visible = await caller.listable({obj["metadata"]["namespace"] for obj in objects})
    found = find((obj for obj in objects if obj["metadata"]["namespace"] in visible), query)
    return found, *page(found, query, "page")
