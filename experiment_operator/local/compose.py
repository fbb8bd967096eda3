"""What docker-compose.yml runs once at each start, from the service's own image: `credentials`, then `install`.

`credentials URL` makes the control plane's keys and certificates before it starts, and leaves a kubeconfig for the
host, where the API server is at URL. `install` waits for the API server and applies what an installation has before its
first Experiment; the first time also a sample. Paths and names are those of docker-compose.yml.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import yaml

import crds
import localcluster
from experiment_operator.resources import SAMPLES, TEMPLATES
from experiments.resources import AGENT, EXPERIMENT, TEST_WORKFLOW_TEMPLATE
from kube.client import KubeClient
from kube.errors import AlreadyExistsError, ConflictError, KubeError, NotServedError, UnavailableError
from kube.objects import CRD, NAMESPACE, Object, Resource, ref_of
from localcluster.certificates import Authority, signing_key, write_kubeconfig, write_private

_CREDENTIALS = Path("/credentials")
_KUBECONFIG = _CREDENTIALS / "kubeconfig"
_DATA = (Path("/data/etcd"), Path("/data/temporal"))
_LOCAL = Path("/local")
_COMPOSE_FILE = Path("/docker-compose.yml")
_SERVER = "https://apiserver:6443"
_UID = 65532

_TIMEOUT_SECONDS = 120.0
_POLL_SECONDS = 0.2

T = TypeVar("T")


def credentials(url: str) -> None:
    """Make credentials, once for the volumes' life but for the host's kubeconfig. Runs as root, to give files away."""
    if not _KUBECONFIG.exists():  # it is written last
        authority = Authority()
        write_private(_CREDENTIALS / "ca.pem", authority.certificate)
        write_private(_CREDENTIALS / "apiserver.pem", authority.serving("apiserver").pem)
        write_private(_CREDENTIALS / "service-accounts.pem", signing_key())
        write_kubeconfig(_KUBECONFIG, _SERVER, authority, "kubernetes-admin", ("system:masters",))
    for path in (_CREDENTIALS, *_CREDENTIALS.iterdir(), *_DATA):
        os.chown(path, _UID, _UID)
    on_host = write_private(_LOCAL / "kubeconfig", _KUBECONFIG.read_text().replace(_SERVER, url).encode())
    owner = _COMPOSE_FILE.stat()
    for path in (_LOCAL, on_host):
        os.chown(path, owner.st_uid, owner.st_gid)


async def install() -> None:
    """Install CRDs, templates and a sample, whose edits stay. Raises KubeError when something fails for two minutes."""
    async with await KubeClient.connect(_KUBECONFIG, role="install") as kube:
        definitions = [*_documents(Path(localcluster.__path__[0]) / "crds"), *_documents(Path(crds.__path__[0]))]
        for definition in definitions:
            await _patiently(partial(_put, kube, CRD, definition))
        for definition in definitions:
            await _patiently(partial(kube.list, _resource(definition)))
        await _create(kube, NAMESPACE, _namespace("testkube"))
        for template in _documents(TEMPLATES):
            await _put(kube, TEST_WORKFLOW_TEMPLATE, _in_namespace(template, "testkube"))
        if await _create(kube, NAMESPACE, _namespace("sample-agents")):
            for resource, file in ((AGENT, "agent.yaml"), (EXPERIMENT, "experiment-scenarios.yaml")):
                for sample in _documents(SAMPLES / file):
                    await _create(kube, resource, _in_namespace(sample, "sample-agents"))


def _documents(path: Path) -> Iterator[Object]:
    for file in sorted(path.glob("*.yaml")) if path.is_dir() else [path]:
        for document in yaml.safe_load_all(file.read_text()):
            yield from document.get("items", [document])


def _resource(definition: Object) -> Resource:
    spec = definition["spec"]
    return Resource(f"{spec['group']}/{spec['versions'][0]['name']}", spec["names"]["kind"], spec["names"]["plural"])


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _in_namespace(obj: Object, namespace: str) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


async def _create(kube: KubeClient, resource: Resource, obj: Object) -> bool:
    """Create an object, and tell whether it did not exist before."""
    try:
        await kube.create(resource, obj)
    except AlreadyExistsError:
        return False
    print(f"{ref_of(resource, obj)} created")
    return True


async def _put(kube: KubeClient, resource: Resource, obj: Object) -> None:
    if not await _create(kube, resource, obj):
        await kube.apply(resource, obj, await kube.get(ref_of(resource, obj)))


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat `call` while the API server starts, and then while it does not serve a new kind yet."""
    end = asyncio.get_running_loop().time() + _TIMEOUT_SECONDS
    while True:
        try:
            return await call()
        except (ConflictError, NotServedError, UnavailableError):
            if asyncio.get_running_loop().time() > end:
                raise
        await asyncio.sleep(_POLL_SECONDS)


def main() -> int:
    step, *arguments = sys.argv[1:]
    try:
        if step == "credentials":
            credentials(*arguments)
        else:
            asyncio.run(install())
    except KubeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
