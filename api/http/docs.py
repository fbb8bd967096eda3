"""`/docs`: the OpenAPI document to read and to try out, in a browser that reaches nothing but this service.

Swagger UI comes from a package that brings it along, under its licence. All addresses on the page are relative, so that
it also works behind a proxy that adds a prefix, such as the API server's.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>experiment-operator</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# Swagger UI styles its elements one by one; its icons are in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def install(app: FastAPI) -> None:
    """Serve the page and what it loads; `app` must have no page of its own."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})

    assets = StaticFiles(
        directory=Path(__file__).parent / "assets", packages=[("fastapi_standalone_docs", "static/swagger")]
    )
    app.mount("/docs", assets, name="docs")
