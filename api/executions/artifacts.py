"""The files that an execution has left: which there are, and how they are passed on.

Whoever wrote them is not trusted: agents answer what they like. So a browser shows only what cannot do anything, and
HTML, the report, in a sandbox: without this service's origin, and unable to send anything anywhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import Path
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.executions.rows import Subject
from api.executions.schemas import ArtifactFile
from api.executions.sources import testkube_call
from api.http.problems import ArtifactTooLarge, NoSuchResource, TestkubeUnavailable
from testkube.client import TestkubeClient
from testkube.errors import NotFound, TestkubeError
from testkube.executions import Artifact

MAX_BYTES = 64 * 1024 * 1024

ArtifactPath = Annotated[
    str,
    Path(
        max_length=1000,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Its `path` in the list.",
        examples=["data/experiments/evaluated_experiment.json"],
    ),
]

_TEXT = "text/plain; charset=utf-8"
_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".jsonl": _TEXT,
    ".log": _TEXT,
    ".md": _TEXT,
    ".png": "image/png",
    ".txt": _TEXT,
    ".xml": _TEXT,  # as XML it could be XHTML
    ".yaml": _TEXT,
}
_DOWNLOAD = "application/octet-stream"
# The report draws its charts by scripts in the page and this one library.
_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; "
    "script-src 'unsafe-inline' https://cdn.jsdelivr.net/npm/chart.js@4.4.0/; base-uri 'none'; form-action 'none'"
)


def artifact_file(subject: Subject, execution: str, artifact: Artifact) -> ArtifactFile:
    """Describe one as lists do."""
    link = f"{subject.path}/{execution}/artifacts/{artifact.name}"
    return ArtifactFile(path=artifact.name, size=artifact.size, content_type=_type_of(artifact.name), link=link)


async def listed(testkube: TestkubeClient, execution: str) -> list[Artifact]:
    """List what an execution has left so far. Raises NoSuchResource and TestkubeUnavailable."""
    try:
        async with testkube_call():
            return await testkube.artifacts(execution)
    except TestkubeError as error:
        raise NoSuchResource(f"Testkube has no files of execution {execution}.") from error


async def read(testkube: TestkubeClient, execution: str, path: str, limit: int) -> bytes | None:
    """Read one that is listed; None where it is gone, or has more than `limit` bytes. Raises TestkubeUnavailable."""
    try:
        async with testkube_call():
            return await testkube.read_artifact(execution, path, limit)
    except TestkubeError:
        return None


class ArtifactResponse(Response):
    """Passes an artifact on while it is read. It comes with its length, so that one that is cut off is known."""

    def __init__(self, testkube: TestkubeClient, execution: str, artifact: Artifact) -> None:
        if artifact.size > MAX_BYTES:
            raise ArtifactTooLarge(f"{artifact.name} has {artifact.size:,} bytes; at most {MAX_BYTES:,} are passed on.")
        super().__init__()
        self._testkube, self._execution, self._artifact = testkube, execution, artifact

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open it first: what goes wrong then is a problem like any other."""
        try:
            async with self._testkube.artifact(self._execution, self._artifact.name) as pieces:
                await self._pass_on(pieces)(scope, receive, send)
        except NotFound as error:
            raise NoSuchResource(f"Testkube has no {self._artifact.name} any more.") from error
        except TestkubeError as error:
            raise TestkubeUnavailable(f"Testkube does not answer: {error}.") from error

    def _pass_on(self, pieces: AsyncIterator[bytes]) -> StreamingResponse:
        kind = _type_of(self._artifact.name)
        name = PurePosixPath(self._artifact.name).name
        headers = {
            "Content-Length": str(self._artifact.size),
            "Content-Disposition": _disposition("attachment" if kind == _DOWNLOAD else "inline", name),
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(pieces, headers=headers, media_type=kind)


def _disposition(kind: str, name: str) -> str:
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)
    return f'{kind}; filename="{plain}"'


def _type_of(path: str) -> str:
    return _TYPES.get(PurePosixPath(path).suffix.lower(), _DOWNLOAD)
