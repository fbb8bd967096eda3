"""The validating admission webhook: what is said to who applies an Experiment, before it is stored.

The API server asks at `POST /validate`, by the rules in `deploy/webhook`. The judgement is that of
`experiments.admission`, from this process's caches. Nothing is written, so a dry run is judged like everything else.
The listener, which limits how long a review may be, and its certificate are not here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any, Literal, ParamSpec, Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_core import from_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from experiments.admission import Review, review
from experiments.limits import MAX_BYTES, MAX_VALUES, TooMuch, check_json
from experiments.models import Part, sentences
from experiments.options import NeighbourCheck, Options
from experiments.resources import EXPERIMENT, GROUP
from experiments.snapshot import Snapshot, Subject
from experiments.warnings import FieldFinding
from kube.caches import Caches
from kube.client import KubeClient
from kube.errors import KubeError
from kube.objects import Object, ObjectRef
from telemetry import metrics

_READ_TIMEOUT_SECONDS = 1.0
# The Experiment as it is to be and as it was, and the fields that managers have in it.
_MAX_VALUES = 3 * MAX_VALUES
_MAX_CAUSES = 100
# Beyond 4096 characters in all, the API server cuts warnings or leaves them out.
_MAX_WARNING_LENGTH = 256
_MAX_WARNINGS = 16
_NOTHING: Mapping[ObjectRef, Object] = MappingProxyType({})
_NO_REVIEW = "No AdmissionReview of an Experiment"
_UNCHECKED = FieldFinding(
    "spec",
    "only its own rules were checked; this service has just started and does not know the Agents, AiGateways, "
    "templates and names in use yet.",
)

_P = ParamSpec("_P")
_T = TypeVar("_T")


class GroupVersionKind(Part):
    group: Literal["testbench.agentic-layer.ai"]
    version: Literal["v1alpha1"]
    kind: Literal["Experiment"]


class AdmissionRequest(Part):
    """What counts of it here. A DELETE has no `obj`, and only an UPDATE has `old` beside it."""

    uid: Annotated[str, Field(min_length=1)]
    kind: GroupVersionKind
    sub_resource: str | None = None
    operation: Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
    dry_run: bool | None = None
    obj: Annotated[Object | None, Field(alias="object")] = None
    old: Annotated[Object | None, Field(alias="oldObject")] = None

    @model_validator(mode="after")
    def _has_its_objects(self) -> Self:
        if self.obj is None and self.operation in {"CREATE", "UPDATE"}:
            raise ValueError("object: is required")
        return self


class AdmissionReview(Part):
    api_version: Literal["admission.k8s.io/v1"]
    kind: Literal["AdmissionReview"]
    request: AdmissionRequest


def create_webhook_app(
    caches: Caches, client: KubeClient, options: Options, *, neighbour_check: NeighbourCheck
) -> Starlette:
    """Put the webhook together. `caches` must cover `sources` and `name_sources` and be run by the caller.

    A request that is no AdmissionReview of an Experiment gets a 4xx, and a defect is a 500, each with a sentence. The
    API server then does what the administrator chose as failurePolicy; to allow it here would overrule that.
    """
    webhook = _Webhook(caches, client, options, neighbour_check)
    routes = [Route("/validate", webhook.validate, methods=["POST"])]
    return Starlette(routes=routes, exception_handlers={Exception: _defect})


async def _defect(_request: Request, _error: Exception) -> Response:
    """Answer. Starlette raises the error again behind that, and uvicorn logs it."""
    return PlainTextResponse("A defect of the experiment-operator; its log has the details.", 500)


class _Webhook:
    def __init__(self, caches: Caches, client: KubeClient, options: Options, neighbour_check: NeighbourCheck) -> None:
        self._caches, self._client = caches, client
        self._options, self._neighbour_check = options, neighbour_check
        self._thread = ThreadPoolExecutor(1, "webhook")

    async def validate(self, request: Request) -> Response:
        asked = await self._beside(_understood, await request.body())
        try:
            said = await self._judge(asked)
        except ValidationError as error:
            raise HTTPException(400, f"{_NO_REVIEW}: metadata: {'; '.join(sentences(error))}.") from None
        verdict = "denied" if said.problems else "warned" if said.warnings else "allowed"
        metrics.WEBHOOK_REVIEWS.labels(asked.operation, verdict).inc()
        return _answer(asked, said)

    async def _judge(self, asked: AdmissionRequest) -> Review:
        """Judge the Experiment in a request. Raises `pydantic.ValidationError` as `Subject.of` does."""
        subject = await self._beside(_to_judge, asked, self._options)
        if subject is None:
            return Review()
        # What is tried out together, by GitOps for example, cannot be there yet.
        check: NeighbourCheck = "warn" if asked.dry_run else self._neighbour_check
        said = await self._review(subject, check)
        if (said.problems or said.warnings) and (found := await self._read_through(subject)):
            said = await self._review(subject, check, found)
        if said.problems and asked.old is not None:
            said = said.since(await self._review(await self._beside(Subject.of, asked.old, self._options), check))
        return said

    async def _review(
        self, subject: Subject, check: NeighbourCheck, unheard: Mapping[ObjectRef, Object] = _NOTHING
    ) -> Review:
        if subject.spec is not None and not self._caches.synced:
            return Review(warnings=(_UNCHECKED,))
        snapshot = Snapshot.take(subject, self._caches)
        snapshot = replace(snapshot, objects={**snapshot.objects, **unheard})
        return await self._beside(review, snapshot, neighbour_check=check)

    async def _beside(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do what may take longer than other requests should wait beside the event loop, without touching the caches.

        One at a time: more would not be faster, and each holds an Experiment or two in memory.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))

    async def _read_through(self, subject: Subject) -> Mapping[ObjectRef, Object]:
        """Read what has not reached the caches: one apply may bring an Experiment and, just before, its Agent."""
        if subject.spec is None:
            return _NOTHING
        needed = dict.fromkeys((subject.agent, *subject.gateways, *subject.templates.values()))
        missing = [ref for ref in needed if self._caches.served(ref.resource) and not self._caches.get(ref)]
        found = await asyncio.gather(*map(self._get, missing))
        return {ref: obj for ref, obj in zip(missing, found, strict=True) if obj}

    async def _get(self, ref: ObjectRef) -> Object | None:
        """Get an object; None also where the API server does not answer in time: then the caches have to do."""
        with suppress(KubeError, TimeoutError):
            async with asyncio.timeout(_READ_TIMEOUT_SECONDS):
                return await self._client.get(ref)
        return None


def _to_judge(asked: AdmissionRequest, options: Options) -> Subject | None:
    """Find the Experiment that is asked about, if there is anything to say. Raises `pydantic.ValidationError`."""
    obj, old = asked.obj, asked.old
    if obj is None or asked.sub_resource or (old is not None and obj.get("spec") == old.get("spec")):
        return None
    subject = Subject.of(obj, options)
    return None if subject.being_deleted else subject


def _understood(body: bytes) -> AdmissionRequest:
    """Parse, or raise HTTPException. The parser has its own limits for nesting (200 levels) and length of numbers."""
    try:
        check_json(body.decode("latin-1"), max_values=_MAX_VALUES, max_depth=MAX_BYTES)
    except TooMuch as error:
        raise HTTPException(413, f"An AdmissionReview that {error} is not read.") from None
    try:
        return AdmissionReview.model_validate(from_json(body, allow_inf_nan=False)).request
    except ValidationError as error:
        raise HTTPException(400, f"{_NO_REVIEW}: {'; '.join(sentences(error))}.") from None
    except ValueError as error:
        raise HTTPException(400, f"No JSON of an AdmissionReview: {error}.") from None


def _answer(asked: AdmissionRequest, said: Review) -> Response:
    response: dict[str, Any] = {"uid": asked.uid, "allowed": not said.problems}
    if said.problems and asked.obj:
        response["status"] = _status(asked.obj["metadata"]["name"], said.problems)
    if said.warnings:
        response["warnings"] = list(map(_warning, said.warnings[:_MAX_WARNINGS]))
    answer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    return Response(json.dumps(answer), media_type="application/json")


def _status(name: str, problems: tuple[FieldFinding, ...]) -> dict[str, Any]:
    """Refuse as the API server does what the CRD forbids: kubectl prints a 422's causes as a list, field by field."""
    shown, more = problems[:_MAX_CAUSES], len(problems) - _MAX_CAUSES
    if more > 0:
        shown = (*shown, FieldFinding("spec", f"{more} more problems."))
    causes = [{"reason": "FieldValueInvalid", "field": each.path, "message": each.sentence} for each in shown]
    return {
        "status": "Failure",
        "code": 422,
        "reason": "Invalid",
        "message": "; ".join(map(str, shown)),
        "details": {"group": GROUP, "kind": EXPERIMENT.kind, "name": name, "causes": causes},
    }


def _warning(found: FieldFinding) -> str:
    """Put a warning on one line: the API server leaves out one that has control characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(found)).split())
    return text if len(text) <= _MAX_WARNING_LENGTH else f"{text[: _MAX_WARNING_LENGTH - 1]}…"
