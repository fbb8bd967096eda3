"""What people do on pages: evaluate now, abort, reconcile now. Forms, which answer with the page to look at next.

A browser sends along what makes its user known, whoever has made the form: so only forms of our own pages are taken.
What costs money is asked back, and done once however often the form is sent.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from api.auth.dependencies import MayUpdate
from api.dependencies import State, require_experiment
from api.executions import requests
from api.executions.endpoints import ExecutionId
from api.executions.schemas import ExecutionRequest
from api.executions.sources import require_testkube
from api.executions.stopping import abort
from api.http.path import Name, Namespace
from api.http.problems import InvalidRequest, NotAllowed
from api.pages.html import PageRoute, render
from api.reconciliations.visibility import temporal_call
from experiments.contract import Target, Urgency, WakeSignal
from experiments.executions import StartRequest

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_OF_ONE = "/experiments/{namespace}/{name}"
_MAX_KEY_LENGTH = 100


async def _same_site(request: Request) -> None:
    """Raise NotAllowed for a form of somebody else's page. Browsers always say where a form comes from."""
    headers = request.headers
    if fetched := headers.get("sec-fetch-site"):
        ours = fetched == "same-origin"
    else:
        ours = urlsplit(headers.get("origin", "")).netloc == headers.get("host", "") != ""
    if not ours:
        raise NotAllowed("This form does not come from this service's own pages.")


async def _form(request: Request) -> dict[str, str]:
    """Read the fields of a form: the last of each name."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=10)
    except ValueError as error:
        raise InvalidRequest(f"body: is no form: {error}.") from None
    return {name: values[-1] for name, values in fields.items()}


Form = Annotated[dict[str, str], Depends(_form)]
_OWN_FORM = [Depends(_same_site), MayUpdate]


@router.get(f"{_OF_ONE}/evaluate", dependencies=[MayUpdate])
async def ask_back(request: Request, namespace: Namespace, name: Name, state: State) -> Response:
    require_testkube(state)
    obj = require_experiment(state.caches, namespace, name)
    return render(
        request,
        "evaluate.html",
        key=str(uuid4()),
        refusal=requests.refusal(obj),
        steps=_steps(obj.get("spec") or {}),
    )


def _steps(spec: dict[str, object]) -> int | None:
    """Count the questions of an Experiment; None where they lie in a file."""
    scenarios = spec.get("scenarios")
    return sum(len(each.get("steps") or ()) for each in scenarios) if isinstance(scenarios, list) else None


@router.post(f"{_OF_ONE}/evaluate", dependencies=_OWN_FORM)
async def evaluate(namespace: Namespace, name: Name, form: Form, state: State) -> Response:
    require_testkube(state)
    obj = require_experiment(state.caches, namespace, name)
    try:
        wish = ExecutionRequest(reason=form.get("reason", "").strip(), tags={})
    except ValueError as error:
        raise InvalidRequest(f"reason: {error}") from None
    key = form.get("key", "")[:_MAX_KEY_LENGTH] or str(uuid4())
    target = Target(namespace, name, obj["metadata"]["uid"])
    started = await requests.start(state.request, state.followers, obj, StartRequest(target, key, wish.reason, {}))
    return _look_at(f"executions/{started.execution.id}")


@router.post(f"{_OF_ONE}/executions/{{execution}}/abort", dependencies=_OWN_FORM)
async def abort_one(namespace: Namespace, name: Name, execution: ExecutionId, state: State) -> Response:
    await abort(state, namespace, name, execution)
    return _look_at(f"../{execution}")


@router.post(f"{_OF_ONE}/reconcile", dependencies=_OWN_FORM)
async def reconcile_now(namespace: Namespace, name: Name, state: State) -> Response:
    uid = require_experiment(state.caches, namespace, name)["metadata"]["uid"]
    async with temporal_call():
        await state.start(Target(namespace, name, uid), WakeSignal(["requested on the page"]), Urgency.ASKED)
    return _look_at(f"../{name}")


def _look_at(where: str) -> Response:
    """Lead to a page by GET, so that to load it again does nothing again. The way is relative to that of the form."""
    return RedirectResponse(where, status_code=303)
