"""How a page is answered: its template filled in, what browsers may do with it, and errors as pages, too.

All addresses on pages are relative, so that they also work behind a proxy that adds a prefix. Templates escape whatever
they are given; what is HTML already says so by its type, `Markup`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.http.problems import InvalidRequest, Refusal

_HERE = Path(__file__).parent
_HEADERS = {
    # The report of an execution is framed; its own answer puts it into a sandbox.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Without any, forms would not say where they come from.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_MINUTE, _HOUR = 60, 3600


def install(app: FastAPI) -> None:
    """Serve what pages load."""
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """Answer with a page, which has what its path names. `root` is the way from it to `/`."""
    root = "../" * (request.scope["path"].count("/") - 1) or "./"
    return HTMLResponse(_TEMPLATES.get_template(template).render(request.path_params, root=root, **values), status)


class PageRoute(APIRoute):
    """A route whose answers, errors too, are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap what the route does."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handler(request)
            except Refusal as refusal:
                response = _refused(request, refusal)
            except RequestValidationError as error:
                response = _refused(request, InvalidRequest.by_parameters(error))
            response.headers.update(_HEADERS)
            return response

        return answer


def _refused(request: Request, refusal: Refusal) -> Response:
    response = render(request, "error.html", status=refusal.status, refusal=refusal)
    response.headers.update(refusal.headers)
    return response


def in_words(seconds: float | None) -> str:
    """Say how long something took."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"


def _utc(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def lines(value: Any) -> str:
    """Write the value of a field as it stands in a diff."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"duration": in_words, "utc": _utc, "lines": lines}
