"""The calls this service makes to the Kubernetes API: JSON in, JSON out, every failure a `KubeError`.

kubernetes-asyncio finds the API server and authenticates, aiohttp carries the calls: typed objects would cost ten times
as much, and that package's watch neither lists again after 410 nor backs off. Nothing is retried or cached here:
`reflector` builds on this to read, the worker's activities to write.
"""

from __future__ import annotations

import json
import re
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from kube.configuration import ConfigException, Configuration
from kube.credentials import load_configuration, tls_context
from kube.errors import ExpiredError, NotFoundError, NotServedError, UnavailableError, error_for
from kube.objects import FIELD_MANAGER, Object, Source, ref_of
from proxies.environment import through
from telemetry import metrics, tracing
from telemetry.identity import user_agent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from kube.objects import ObjectRef, Resource

# Named here because inside the class `list` is a method.
Objects: TypeAlias = list[Object]
Page: TypeAlias = tuple[Objects, str]
Operations: TypeAlias = list[dict[str, Any]]
Event: TypeAlias = dict[str, Any]  # {"type": "ADDED", "object": {...}}


_PAGE_SIZE = 500
_MAX_DEPTH = 400
_JSON_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{}]')
_CONNECT_TIMEOUT_SECONDS = 5.0
_CALL_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=_CONNECT_TIMEOUT_SECONDS)
_WRITE = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}

_JSON = "application/json"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
# An object may have more than aiohttp's 64 kB, and so may a line of a watch.
_READ_BUFFER_BYTES = 2**21
_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "apply": "PATCH",
    "patch": "PATCH",
    "delete": "DELETE",
}
_APPLY = "application/apply-patch+yaml"
_MERGE_PATCH = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


class KubeClient:
    """One connection pool to one API server. Close it, or use it as an async context manager.

    Every method raises a leaf of `KubeError`; objects go in and come out as the API server's JSON. `role` is who asks,
    which the API server's audit log then has.
    """

    def __init__(self, configuration: Configuration, role: str = "") -> None:
        self._configuration = configuration
        self._host = (configuration.host or "").rstrip("/")
        self._user_agent = {"User-Agent": user_agent(role)}
        connector = aiohttp.TCPConnector(limit=configuration.connection_pool_maxsize, ssl=tls_context(configuration))
        # The environment's proxy is in the configuration already. To look for one, and for a ~/.netrc, before each call
        # would cost half of it.
        self._session = aiohttp.ClientSession(connector=connector, read_bufsize=_READ_BUFFER_BYTES)
        self._through = through(configuration.proxy)

    @classmethod
    async def connect(cls, kubeconfig: Path | None = None, *, role: str = "") -> Self:
        """Make a client for an explicit kubeconfig, else the pod's service account, else the user's kubeconfig.

        Only reads the configuration, makes no call. Raises KubeError where it is missing or broken.
        """
        return cls(await load_configuration(kubeconfig), role)

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def get(self, ref: ObjectRef) -> Object:
        return await self._request(f"get {ref}", ref.resource.plural, _path_of(ref))

    async def find(self, ref: ObjectRef) -> Object | None:
        """Get an object; None where it does not exist, nor perhaps its kind."""
        try:
            return await self.get(ref)
        except (NotFoundError, NotServedError):
            return None

    async def discover(self, path: str) -> Object:
        """Get what tells about the API server itself, such as `/version` or `/apis/apps`."""
        return await self._request(f"get {path}", "discovery", path)

    async def list(
        self, resource: Resource, *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> Objects:
        source = Source(resource, namespace, label_selector, field_selector)
        return [obj async for page, _ in self.list_pages(source) for obj in page]

    async def version(self, source: Source) -> str:
        """Return the resource version after which a watch of this source tells what happens from now on."""
        _, version = await anext(self.list_pages(source, size=1))
        return version

    async def list_pages(self, source: Source, size: int = _PAGE_SIZE) -> AsyncIterator[Page]:
        """List a source's objects, `size` at a time, each page with the resource version that all were read at."""
        query = _selectors(source) | {"limit": str(size)}
        # Items of built-in kinds come without these two; watch events have them.
        own = {"apiVersion": source.resource.api_version, "kind": source.resource.kind}
        path, accept = _collection(source.resource, source.namespace), _METADATA_LIST if source.metadata_only else _JSON
        while True:
            answer = await self._request(f"list {source}", source.resource.plural, path, query, accept=accept)
            try:
                meta = answer["metadata"]
                page = [{**item, **own} for item in answer["items"] or []], meta["resourceVersion"]
            except (KeyError, TypeError) as error:
                raise UnavailableError(f"list {source}: the answer is no list") from error
            yield page
            if not meta.get("continue"):
                return
            query["continue"] = meta["continue"]

    @asynccontextmanager
    async def watch(
        self, source: Source, resource_version: str, *, idle_seconds: float, server_seconds: float
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Yield events after `resource_version`, bookmarks too; entered once the server has accepted the watch.

        They end when the server ends them, which it is asked to do after `server_seconds`, and when nothing has come
        for `idle_seconds`: a dead connection looks just so. An ERROR event or an unreadable one raises ExpiredError,
        since the watch cannot be continued from any known version.
        """
        call = f"watch {source}"
        query = _selectors(source) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, round(server_seconds))),
        }
        limits = aiohttp.ClientTimeout(sock_connect=_CONNECT_TIMEOUT_SECONDS, sock_read=idle_seconds)
        path, accept = _collection(source.resource, source.namespace), _METADATA if source.metadata_only else _JSON
        async with (
            self._response(call, source.resource.plural, path, query, limits=limits, accept=accept) as response,
            aclosing(_events(call, response)) as events,
        ):
            yield events

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create; AlreadyExistsError, unlike with apply, when the name is taken: nothing foreign is ever touched."""
        ref = ref_of(resource, obj)
        path = _collection(resource, ref.namespace)
        return await self._request(f"create {ref}", resource.plural, path, _WRITE, obj)

    async def create_review(self, resource: Resource, review: Object) -> Object:
        """Create what is answered and not stored, like a TokenReview; returns it with its `status`."""
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **review}
        return await self._request(f"create {resource}", resource.plural, _collection(resource, ""), {}, body)

    async def apply(self, resource: Resource, obj: Object, live: Object) -> Object:
        """Apply server-side over the object `live` (its managedFields count, their fieldsV1 are not needed).

        Fields that an earlier call set and `obj` no longer has go away; other managers' fields stay, except where `obj`
        says otherwise. ConflictError when `live` is not what is there any more.
        """
        ref = ref_of(resource, obj)
        created_by = _own_update_entry(live)
        if created_by is not None:
            live = await self._upgrade_managed_fields(ref, live, created_by)
        guard = {key: live["metadata"][key] for key in ("uid", "resourceVersion")}
        body = obj | {"metadata": obj["metadata"] | guard}
        query = _WRITE | {"force": "true"}
        return await self._request(f"apply {ref}", resource.plural, _path_of(ref), query, body, content_type=_APPLY)

    async def merge_patch(self, ref: ObjectRef, patch: Object, *, subresource: str = "") -> Object:
        """Send a merge patch. With `metadata.resourceVersion` in it: ConflictError when the object has changed since.

        A `metadata.uid` guards the object itself in the same way, but the API server ignores it in a `status` patch.
        """
        return await self._patch(ref, subresource, patch, _MERGE_PATCH)

    async def json_patch(self, ref: ObjectRef, operations: Operations, *, subresource: str = "") -> Object:
        """Send a JSON Patch. ConflictError, and nothing written, when a `test` does not hold or a path is not there."""
        return await self._patch(ref, subresource, operations, _JSON_PATCH)

    async def _patch(self, ref: ObjectRef, subresource: str, body: Object | Operations, content_type: str) -> Object:
        target = f"/{subresource}" if subresource else ""
        call = f"patch {subresource} of {ref}" if subresource else f"patch {ref}"
        path, what = _path_of(ref) + target, ref.resource.plural + target
        return await self._request(call, what, path, _WRITE, body, content_type=content_type)

    async def delete(self, ref: ObjectRef, *, uid: str, resource_version: str | None = None) -> Object | None:
        """Ask for the deletion of exactly this object, and in the background of what it owns.

        Returns the object where it lives on, which it does while it has finalizers. NotFoundError when there is none of
        the name; ConflictError when it is another, or with `resource_version` when it has changed since.
        """
        preconditions = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
        options = {"preconditions": preconditions, "propagationPolicy": "Background"}
        answer = await self._request(f"delete {ref}", ref.resource.plural, _path_of(ref), {}, options)
        return answer if (answer.get("metadata") or {}).get("finalizers") else None

    async def _upgrade_managed_fields(self, ref: ObjectRef, live: Object, index: int) -> Object:
        """Turn the managedFields entry that `create` left into one of apply's.

        A POST is recorded as operation Update, and apply removes only fields that an Apply entry owns: without this, a
        field of the created object that is no longer generated would stay for ever.
        """
        entry = f"/metadata/managedFields/{index}"
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": live["metadata"]["uid"]},
            {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
            {"op": "test", "path": f"{entry}/manager", "value": FIELD_MANAGER},
            {"op": "test", "path": f"{entry}/operation", "value": "Update"},
            {"op": "replace", "path": f"{entry}/operation", "value": "Apply"},
        ]
        return await self.json_patch(ref, operations)

    async def _request(
        self,
        call: str,
        what: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | Operations | None = None,
        *,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> Object:
        """Send a request. `call` is the verb and in words of what; `what` is the resource, as RBAC names it."""
        with tracing.span(f"{call.partition(' ')[0]} {what}", call=call):
            async with self._response(
                call, what, path, query, body, content_type=content_type, accept=accept
            ) as response:
                content = await response.read()
        answer = _decoded(content)
        if not isinstance(answer, dict):
            raise UnavailableError(f"{call}: the answer is no JSON object: {content[:80]!r}", status=response.status)
        return answer

    @asynccontextmanager
    async def _response(
        self,
        call: str,
        what: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | Operations | None = None,
        *,
        content_type: str = _JSON,
        accept: str = _JSON,
        limits: aiohttp.ClientTimeout = _CALL_TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield a response of checked status. A connection that fails, also while it is read, is UnavailableError."""
        verb = call.partition(" ")[0]
        try:
            with metrics.kubernetes_call(verb, what) as answered:
                response = await self._session.request(
                    _METHODS[verb],
                    URL(f"{self._host}{path}?{urlencode(query or {})}", encoded=True),
                    headers={**await self._who_asks(), "Accept": accept, "Content-Type": content_type},
                    data=None if body is None else _encoded(body),
                    proxy=self._configuration.proxy,
                    server_hostname=self._configuration.tls_server_name,
                    timeout=limits,
                )
                answered(response.status)
            async with response:
                if response.status >= 400:
                    retry_after = response.headers.get("Retry-After")
                    raise error_for(call, response.status, await response.read(), retry_after)
                yield response
        except TimeoutError as error:
            raise UnavailableError(f"{call}: no answer in time{self._through}") from error
        except (aiohttp.ClientError, OSError, ConfigException) as error:
            raise UnavailableError(f"{call}: {error}{self._through}") from error

    async def _who_asks(self) -> dict[str, str]:
        """Return the headers that say so; the configuration renews a token that is about to expire."""
        token = (await self._configuration.auth_settings()).get("BearerToken")
        return {**self._user_agent, token["key"]: token["value"]} if token and token["value"] else self._user_agent


def _collection(resource: Resource, namespace: str) -> str:
    root = "apis" if "/" in resource.api_version else "api"
    where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"/{root}/{resource.api_version}{where}/{resource.plural}"


def _path_of(ref: ObjectRef) -> str:
    return f"{_collection(ref.resource, ref.namespace)}/{quote(ref.name, safe='')}"


def _selectors(source: Source) -> dict[str, str]:
    query = {"labelSelector": source.label_selector, "fieldSelector": source.field_selector}
    return {key: value for key, value in query.items() if value}


def _encoded(body: Object | Operations) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # numbers beyond 64 bits, halves of a surrogate pair: the API server says what it thinks of them
        return json.dumps(body).encode()


def _decoded(content: bytes) -> Any:
    try:
        return _parsed(content)
    except ValueError:
        return None


def _parsed(content: bytes) -> Any:
    """Parse JSON, without what nests deeper than Python follows: one such object must not hide all others.

    The API server takes 10,000 levels in fields without a schema. Raises ValueError.
    """
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(content)
    try:
        return json.loads(content)
    except RecursionError:
        return json.loads(_without_depths(content))


def _without_depths(content: bytes) -> bytes:
    """Put null for each array and object that is nested deeper than anything that makes sense."""
    kept: list[bytes] = []
    depth = end = 0
    for token in _JSON_TOKENS.finditer(content):
        if token[0] in b"[{":
            depth += 1
            if depth == _MAX_DEPTH:
                kept += (content[end : token.start()], b"null")
        elif token[0] in b"]}":
            if depth == _MAX_DEPTH:
                end = token.end()
            depth -= 1
    return b"".join((*kept, content[end:]))


async def _events(call: str, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
    """Yield one JSON document a line. What follows the last newline is half an event: the next watch has it again."""
    rest = b""
    with suppress(TimeoutError):  # silence
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield _event(call, line)


def _event(call: str, line: bytes) -> Event:
    try:
        event: Event = _parsed(line)
        if event["type"] != "ERROR":
            return event
        words, status = event["object"]["message"], event["object"]["code"]
    except (ValueError, TypeError, KeyError) as error:
        raise ExpiredError(f"{call}: an event that cannot be read: {line[:80]!r}") from error
    raise ExpiredError(f"{call}: {words}", status=status)


def _own_update_entry(live: Object) -> int | None:
    """Find where in managedFields `create` is recorded; None once an apply owns the fields."""
    ours = {
        entry["operation"]: index
        for index, entry in enumerate(live["metadata"].get("managedFields") or [])
        if entry["manager"] == FIELD_MANAGER and not entry.get("subresource")
    }
    # With both there, the API server would keep only one of two Apply entries, and lose track of the other's fields.
    return None if "Apply" in ours else ours.get("Update")
