"""A release host on this machine, which can fail in the ways that real ones do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class ReleaseHost:
    """Serves `files` with a SHA-256 beside each, in parts when asked to."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    break_after: list[int] = field(default_factory=list)
    """The connections of the next downloads break after so many bytes, one entry each."""
    ranges: list[str] = field(default_factory=list)
    """What each download asked for; empty for all of it."""
    knows_ranges: bool = True

    async def serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.endswith(".sha256"):
            return web.Response(text=hashlib.sha256(self.files[path.removesuffix(".sha256")]).hexdigest())
        if path.endswith("/SHA256SUMS"):
            names = {name.rpartition("/")[2]: content for name, content in self.files.items()}
            lines = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in names.items()]
            return web.Response(text="\n".join([f"{'0' * 64}  another-file", *lines]))
        return await self._send(request, self.files[path])

    async def _send(self, request: web.Request, content: bytes) -> web.StreamResponse:
        asked = request.headers.get("Range", "")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.knows_ranges else 0
        rest = content[start:]
        response = web.StreamResponse(status=206 if start else 200, headers={"Content-Length": str(len(rest))})
        await response.prepare(request)
        await response.write(rest[: self.break_after[0]] if self.break_after else rest)
        if self.break_after:
            self.break_after.pop(0)
            assert request.transport
            request.transport.close()
        return response
