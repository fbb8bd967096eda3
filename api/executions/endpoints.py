"""`…/experiments/{name}/executions`: how the agent did, each time it was evaluated, and evaluating it now.

Answers come from Temporal and from Testkube, through `sources`; `pages` makes lists of them, `details` shows one,
`comparison` two, `requests` starts one and `stopping` ends it. What is away is named in the answer, the rest is shown.
"""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.dependencies import MayGet, MayUpdate
from api.dependencies import AppState, State, require_experiment
from api.executions import requests
from api.executions.artifacts import ArtifactPath, ArtifactResponse, artifact_file, listed
from api.executions.comparison import Base, Head, comparison
from api.executions.details import describe, find
from api.executions.pages import ExecutionQuery, page
from api.executions.requests import IdempotencyKey
from api.executions.schemas import ArtifactList, Comparison, ExecutionDetail, ExecutionPage, ExecutionRequest
from api.executions.sources import Sources, require_testkube
from api.executions.stopping import abort
from api.http.etag import answer, conditional
from api.http.path import Name, Namespace
from api.http.problems import AlreadyFinished, ArtifactTooLarge, ExperimentNotReady, NoSuchResource, documented
from api.http.waiting import Wait, until_done
from experiments.contract import Target
from experiments.executions import StartRequest

router = APIRouter(prefix="/api/v1", tags=["Executions"])

_OF_ONE = "/namespaces/{namespace}/experiments/{name}/executions"

ExecutionId = Annotated[
    str,
    Path(
        pattern="^[0-9A-Za-z][-0-9A-Za-z]{0,63}$",
        description="Its `executionId`.",
        examples=["6b07730dbe3694f655a52ea0"],
    ),
]
_LOCATION = {"Location": {"description": "Path of the execution.", "schema": {"type": "string"}}}
_FINISHED = AlreadyFinished("Execution 3 cannot be aborted any more: it has ended.")
_TOO_LARGE = ArtifactTooLarge("data/all.zip has 73,400,320 bytes; at most 67,108,864 are passed on.")
_NOT_READY = ExperimentNotReady("Experiment default/weather: It is suspended.")


@router.get(
    _OF_ONE,
    summary="List the executions of an Experiment, newest first",
    description="Also of an Experiment that was deleted, and of earlier ones of the name, while Temporal or Testkube "
    "keeps them.",
    dependencies=[MayGet],
    responses=documented(401, 403, 404, 422, 503),
)
async def list_executions(
    namespace: Namespace, name: Name, query: Annotated[ExecutionQuery, Query()], state: State
) -> ExecutionPage:
    sources = Sources.of(state, namespace, name)
    items, next_cursor = await page(sources.stretch, query, sources.subject.path, query.accepts)
    if not items and not next_cursor and not sources.refusals and not await state.followers.exist(namespace, name):
        require_experiment(state.caches, namespace, name)
    return ExecutionPage(items=items, next_cursor=next_cursor, unavailable=sources.unavailable)


@router.get(
    f"{_OF_ONE}/compare",
    summary="Compare two executions, metric by metric",
    description="By default the newest that was judged, as `head`, with the one before it, as `base`. What has got "
    "worse comes first.",
    dependencies=[MayGet],
    response_model=Comparison,
    responses=conditional() | documented(401, 403, 404, 422, 503),
)
async def compare_executions(
    request: Request, namespace: Namespace, name: Name, state: State, *, base: Base = None, head: Head = None
) -> Response:
    return answer(request, await comparison(Sources.of(state, namespace, name), base, head, state.beside))


@router.get(
    f"{_OF_ONE}/{{execution}}",
    summary="Show one execution with its phases, answers and scores",
    description="What Testkube has forgotten is told from what Temporal has kept: verdict and scores.",
    dependencies=[MayGet],
    response_model=ExecutionDetail,
    responses=conditional() | documented(401, 403, 404, 422, 503),
)
async def get_execution(
    request: Request, namespace: Namespace, name: Name, execution: ExecutionId, state: State
) -> Response:
    return answer(request, await described(state, namespace, name, execution))


@router.get(
    f"{_OF_ONE}/{{execution}}/artifacts",
    summary="List the files that an execution has left",
    dependencies=[MayGet],
    response_model=ArtifactList,
    responses=conditional() | documented(401, 403, 404, 422, 501, 503),
)
async def list_artifacts(
    request: Request, namespace: Namespace, name: Name, execution: ExecutionId, state: State
) -> Response:
    testkube, sources = require_testkube(state), Sources.of(state, namespace, name)
    await find(sources, execution)
    files = await listed(testkube, execution)
    return answer(request, ArtifactList(items=[artifact_file(sources.subject, execution, each) for each in files]))


@router.get(
    f"{_OF_ONE}/{{execution}}/artifacts/{{path:path}}",
    summary="Get a file that an execution has left",
    description="Shown by browsers where it is of a kind that can do no harm, and HTML in a sandbox; else to be saved.",
    dependencies=[MayGet],
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": {"*/*": {"schema": {}}}},
        **documented(401, 403, 404, _TOO_LARGE, 422, 501, 503),
    },
)
async def get_artifact(
    namespace: Namespace, name: Name, execution: ExecutionId, path: ArtifactPath, state: State
) -> Response:
    testkube = require_testkube(state)
    await find(Sources.of(state, namespace, name), execution)
    found = next((each for each in await listed(testkube, execution) if each.name == path), None)
    if found is None:
        raise NoSuchResource(f"Execution {execution} has not left {path}.")
    return ArtifactResponse(testkube, execution, found)


@router.post(
    _OF_ONE,
    summary="Execute an Experiment now",
    description="Starts one execution, and none twice for the same `Idempotency-Key`. Answers once Testkube has it, or "
    "with `wait` when it was judged.",
    dependencies=[MayUpdate],
    status_code=202,
    response_model=ExecutionDetail,
    responses={
        200: {"model": ExecutionDetail, "description": "With `wait`: it was judged.", "headers": _LOCATION},
        202: {"description": "The execution, which may be under way.", "headers": _LOCATION},
        **documented(401, 403, 404, _NOT_READY, 413, 422, 501, 503),
    },
)
async def execute(
    request: Request,
    namespace: Namespace,
    name: Name,
    state: State,
    *,
    wish: ExecutionRequest | None = None,
    wait: Wait = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    require_testkube(state)
    obj = require_experiment(state.caches, namespace, name)
    target, wish = Target(namespace, name, obj["metadata"]["uid"]), wish or ExecutionRequest()
    wanted = StartRequest(target, idempotency_key or str(uuid4()), wish.reason, wish.tags)
    started = (await requests.start(state.request, state.followers, obj, wanted)).execution
    ended = wait is not None and await until_done(state.followers.wait_closed(target, started.id), request, wait)
    shown = await described(state, namespace, name, started.id)
    return Response(
        shown.model_dump_json(by_alias=True),
        status_code=200 if ended else 202,
        media_type="application/json",
        headers={"Location": f"{request.url.path}/{started.id}"},
    )


@router.post(
    f"{_OF_ONE}/{{execution}}/abort",
    summary="Abort an execution",
    description="It is `canceled` a moment later, and what it has not done stays undone.",
    dependencies=[MayUpdate],
    status_code=202,
    responses=documented(401, 403, 404, _FINISHED, 422, 501, 503),
)
async def abort_execution(namespace: Namespace, name: Name, execution: ExecutionId, state: State) -> ExecutionDetail:
    await abort(state, namespace, name, execution)
    return await described(state, namespace, name, execution)


async def described(state: AppState, namespace: str, name: str, execution: str) -> ExecutionDetail:
    """Tell all that is known of an execution. Raises NoSuchResource, and ServiceUnavailable where nobody can tell."""
    sources = Sources.of(state, namespace, name)
    return await describe(sources, await find(sources, execution), state.beside)
