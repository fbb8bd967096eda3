"""Errors as RFC 9457 problems: every answer that is not a success is `application/problem+json` with a sentence.

Routes raise them; `install` also turns everything else into one, from an unknown path to a defect. What caused an error
is for the log: the caller never sees a stack trace. What a class stands for is also said in docs/rest.md, by its
docstring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Self

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import Match

from experiments.models import Part
from experiments.resources import GROUP

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_SECONDS = 5
PROBLEM = "Problem"
"""Name of the schema of `ProblemDetails` in the OpenAPI document."""


class ProblemDetails(Part):
    """The body of an error. `type` is stable and names the error; `errors` are its parts where it has several."""

    model_config = ConfigDict(title=PROBLEM)

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[str]


class Refusal(Exception):  # noqa: N818 - an answer, not a programming error
    """`str(refusal)` is the sentence for the caller. `code` is what `type` ends in."""

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, *, status: int | None = None, title: str = "", code: str = "") -> None:
        """Give it the status, unless it has that of its parent, and the code: its name, unless that is taken."""
        cls.status, cls.title, cls.code = status or cls.status, title, code or cls.__name__

    def __init__(self, detail: str, errors: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.errors = list(errors)

    def problem(self, instance: str) -> ProblemDetails:
        """Put it as a problem. Its type is a tag URI (RFC 4151): a name that never changes and leads nowhere."""
        return ProblemDetails(
            type=f"tag:{GROUP},2026:{self.code}",
            title=self.title,
            status=self.status,
            detail=str(self),
            instance=instance,
            errors=self.errors,
        )


class Unauthenticated(Refusal, status=401, title="Unauthenticated"):
    """There is no token, or one that the API server does not accept."""

    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class NotAllowed(Refusal, status=403, title="Not allowed"):
    """The caller may not do this in that namespace."""


class NoSuchResource(Refusal, status=404, title="Not found", code="NotFound"):
    """There is neither such an Experiment nor a history of one; or no such run, execution or artifact."""


class AlreadyFinished(Refusal, status=409, title="Finished already"):
    """The execution has ended, so it cannot be aborted."""


class ArtifactTooLarge(Refusal, status=409, title="Too large to be passed on"):
    """The artifact has more than 64 MiB; Testkube itself can be asked for it."""


class ExperimentNotReady(Refusal, status=409, title="The Experiment is not ready"):
    """The Experiment is not Ready, suspended or being deleted, so nothing is executed; `detail` says why."""


class NotGenerated(Refusal, status=409, title="Not to be generated"):
    """Something is in the way of generating the objects; `errors` say what."""


class TooLarge(Refusal, status=413, title="Too large"):
    """The body has more than 3 MiB or, where no Experiment is sent, more than 64 KiB."""


class InvalidRequest(Refusal, status=422, title="The request is not understood"):
    """A parameter or the body is not what it has to be; `errors` name each mistake."""

    @classmethod
    def naming(cls, mistakes: Sequence[str]) -> Self:
        """Put mistakes, none of which ends in a full stop, into one sentence."""
        return cls(f"{'; '.join(mistakes)}.", mistakes)

    @classmethod
    def by_parameters(cls, error: RequestValidationError) -> Self:
        """Name the parameters, and parts of the body, that FastAPI does not take."""
        return cls.naming([f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()])


class TestkubeNotConfigured(Refusal, status=501, title="Testkube is not configured"):
    """The service was not told where Testkube's API is (TESTKUBE_API_URL)."""


class ServiceUnavailable(Refusal, status=503):
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": str(_RETRY_AFTER_SECONDS)}


class AccessUnknown(ServiceUnavailable, title="Kubernetes does not say who may do this"):
    """The API server does not say who may do this."""


class CachesNotFilled(ServiceUnavailable, title="The Experiments are not known yet"):
    """The process has just started and has not listed the Experiments."""


class ExecutionNotStarted(ServiceUnavailable, title="The execution is not started"):
    """Testkube has not started the execution yet; to ask again with the same Idempotency-Key starts none twice."""


class NotReady(ServiceUnavailable, title="Not ready"):
    """Something that the process needs is missing: `/readyz` only."""


class TemporalUnavailable(ServiceUnavailable, title="Temporal does not answer"):
    """Temporal does not answer within 5 s; Experiments can still be read."""


class TestkubeUnavailable(ServiceUnavailable, title="Testkube does not answer"):
    """Testkube does not answer within 5 s, or not as it should; what Temporal keeps can still be read."""


_EXAMPLES: dict[int, Refusal] = {
    refusal.status: refusal
    for refusal in (
        Unauthenticated("The Kubernetes API server does not accept this token."),
        NotAllowed("ann may not get Experiments in namespace default."),
        NoSuchResource("There is no Experiment default/weather."),
        NotGenerated(
            "Not all objects can be generated: AiGateway ai-gateway/judge does not exist.",
            ["AiGateway ai-gateway/judge does not exist."],
        ),
        TooLarge("A body of more than 3,145,728 bytes is not read."),
        InvalidRequest("path.name: String should match pattern …", ["path.name: String should match pattern …"]),
        TestkubeNotConfigured("TESTKUBE_API_URL is not set, so this service neither starts nor sees executions."),
        TemporalUnavailable("Temporal, which keeps the history, does not answer: no connection."),
    )
}


_HEADERS = {
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "schema": {"type": "string", "examples": [str(_RETRY_AFTER_SECONDS)]},
    },
    "WWW-Authenticate": {
        "description": "How to say who asks: by a bearer token.",
        "schema": {"type": "string", "examples": ["Bearer"]},
    },
}


def documented(*statuses: int | Refusal) -> dict[int | str, dict[str, Any]]:
    """Document the `responses` of a route that answers with these errors: by status, or by an example of its own."""
    examples = (_EXAMPLES[each] if isinstance(each, int) else each for each in statuses)
    return {example.status: _response(example) for example in examples}


def _response(example: Refusal) -> dict[str, Any]:
    problem = example.problem("/api/v1/namespaces/default/experiments/weather")
    schema = {"$ref": f"#/components/schemas/{PROBLEM}"}
    response: dict[str, Any] = {
        "description": HTTPStatus(example.status).phrase,
        "content": {MEDIA_TYPE: {"schema": schema, "example": problem.model_dump()}},
    }
    if example.headers:
        response["headers"] = {name: _HEADERS[name] for name in example.headers}
    return response


def install(app: FastAPI) -> None:
    """Make every error that leaves a route of `app` a problem."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> JSONResponse:
        return _answer(error.problem(request.url.path), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return await refused(request, InvalidRequest.by_parameters(error))

    @app.exception_handler(HTTPException)
    async def routing(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # FastAPI's, for a body that is not even text
            sentence = "body: cannot be read."
            return await refused(request, InvalidRequest(sentence, [sentence]))
        if error.status_code == 413:
            return await refused(request, TooLarge(error.detail))
        detail = f"{request.method} {request.url.path}: {error.detail}. See /docs for the available routes."
        headers = {"Allow": ", ".join(_allowed(request))} if error.status_code == 405 else error.headers
        return _answer(_problem(request, error.status_code, detail), headers)

    @app.exception_handler(Exception)
    async def defect(request: Request, _: Exception) -> JSONResponse:
        """Answer. Starlette raises the error again behind that, and uvicorn logs it."""
        return _answer(_problem(request, 500, "A defect of this service; its log has the details."))


def _problem(request: Request, status: int, detail: str) -> ProblemDetails:
    """Make one that says no more than its HTTP status (RFC 9457, 4.2.1)."""
    return ProblemDetails(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        errors=[],
    )


def _allowed(request: Request) -> list[str]:
    """Find the methods of all routes of a path: Starlette names those of the first alone."""
    scopes = {method: {**request.scope, "method": method} for method in ("GET", "POST")}
    found = [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]
    return ["GET", "HEAD", *found[1:]] if "GET" in found else found


def _answer(problem: ProblemDetails, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(problem.model_dump(), problem.status, headers, MEDIA_TYPE)
