"""A real Kubernetes control plane on this machine: etcd, kube-apiserver, some controllers of kube-controller-manager.

`LocalCluster` starts one. There are no nodes and no kubelet, so nothing ever runs in it; objects, validation, RBAC,
watches, the garbage collector and namespace deletion are the real ones. Where the binaries come from is `binaries`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import yaml

from localcluster.binaries import Binaries
from localcluster.certificates import Authority, signing_key, write_kubeconfig, write_private
from localcluster.errors import InstallError
from localcluster.processes import Process, answers, on_free_ports

_HOST = "127.0.0.1"
_CRDS_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_POLL = 0.02


class ControlPlane:
    """One control plane with its data, logs, certificates and kubeconfigs under `directory`."""

    def __init__(self, directory: Path, binaries: Binaries) -> None:
        self._directory = directory
        self._binaries = binaries
        self._authority = Authority()
        self._etcd_url = ""
        self._port = 0
        self._processes: dict[str, Process] = {}

    @property
    def url(self) -> str:
        return f"https://{_HOST}:{self._port}"

    @property
    def kubeconfig(self) -> Path:
        """Of a cluster administrator."""
        return self._directory / "kubeconfig"

    async def start(self) -> None:
        """Start etcd and the API server and wait until it serves; the controllers begin with the first `install`."""
        self._write_credentials()
        await on_free_ports(2, self._start_etcd)
        await on_free_ports(1, self._start_apiserver)
        self.kubeconfig_for("kubernetes-admin", ("system:masters",)).replace(self.kubeconfig)

    async def stop(self) -> None:
        for process in reversed(self._processes.values()):
            await process.stop()

    async def stop_apiserver(self) -> None:
        await self._processes["kube-apiserver"].stop()

    async def start_apiserver(self) -> None:
        """Start it again at the same address, with the same objects."""
        await self._start_apiserver([self._port])
        await self._start_controllers()

    def kubeconfig_for(self, user: str, groups: tuple[str, ...] = ()) -> Path:
        """Write a kubeconfig of `user`, who may do what RBAC grants to that user and to `groups`, and nothing else."""
        path = self._directory / f"kubeconfig-{user}"
        return write_kubeconfig(path, self.url, self._authority, user, groups)

    async def install(self, path: Path) -> None:
        """Apply the CustomResourceDefinitions in a YAML file, or in those of a directory, and wait for all of them.

        They are Established when this returns, and the garbage collector knows their objects. Raises InstallError.
        """
        async with self._client() as http:
            await asyncio.gather(*(_apply(http, crd) for crd in _crds(path)))
        await self._start_controllers()

    async def _start_etcd(self, ports: list[int]) -> None:
        client, peer = (f"http://{_HOST}:{port}" for port in ports)
        self._etcd_url = client
        etcd = self._run(
            self._binaries.etcd,
            f"--data-dir={self._directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--log-level=warn",
            # A crash of the machine may lose data; that of a process does not.
            "--unsafe-no-fsync",
        )
        async with self._client() as http:
            await etcd.until(lambda: answers(http, f"{client}/health"))

    async def _start_apiserver(self, ports: list[int]) -> None:
        self._port = ports[0]
        apiserver = self._run(
            self._binaries.kube_apiserver,
            f"--etcd-servers={self._etcd_url}",
            f"--bind-address={_HOST}",
            f"--advertise-address={_HOST}",
            f"--secure-port={self._port}",
            f"--tls-cert-file={self._pki / 'apiserver.pem'}",
            f"--tls-private-key-file={self._pki / 'apiserver.pem'}",
            f"--client-ca-file={self._pki / 'ca.pem'}",
            f"--service-account-key-file={self._pki / 'service-accounts.pem'}",
            f"--service-account-signing-key-file={self._pki / 'service-accounts.pem'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            # No pod ever runs: none needs a service account, and no endpoint needs to be published.
            "--disable-admission-plugins=ServiceAccount",
            # As on OpenShift: whoever sets blockOwnerDeletion must be allowed to change the owner's finalizers.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            "--endpoint-reconciler-type=none",
        )
        async with self._client() as http:
            await apiserver.until(lambda: answers(http, f"{self.url}/readyz"))

    async def _start_controllers(self) -> None:
        """Start the garbage collector, the namespace controller and that of aggregated roles, or start them anew.

        Running ones would look for new kinds, or for an API server that was away, only after many seconds.
        """
        if running := self._processes.get("kube-controller-manager"):
            await running.stop()
        manager = self._run(
            self._binaries.kube_controller_manager,
            f"--kubeconfig={self.kubeconfig}",
            "--controllers=garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller",
            "--leader-elect=false",
            "--secure-port=0",
            # The defaults (20 and 30) spare an API server that others need as well.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        )

        async def started() -> bool:
            # It still has to read all objects; what was deleted until then is collected afterwards.
            return "Starting controller" in manager.log.read_text(errors="replace")

        await manager.until(started)

    def _run(self, binary: Path, *arguments: str) -> Process:
        process = Process.start([binary, *arguments], self._directory / f"{binary.name}.log")
        self._processes[binary.name] = process
        return process

    @property
    def _pki(self) -> Path:
        return self._directory / "pki"

    def _write_credentials(self) -> None:
        self._pki.mkdir(exist_ok=True)
        write_private(self._pki / "ca.pem", self._authority.certificate)
        write_private(self._pki / "apiserver.pem", self._authority.serving().pem)
        write_private(self._pki / "admin.pem", self._authority.client("localcluster", ("system:masters",)).pem)
        write_private(self._pki / "service-accounts.pem", signing_key())

    def _client(self) -> httpx.AsyncClient:
        context = ssl.create_default_context(cafile=self._pki / "ca.pem")
        context.load_cert_chain(self._pki / "admin.pem")
        return httpx.AsyncClient(base_url=self.url, verify=context, trust_env=False)


def _crds(path: Path) -> list[dict[str, Any]]:
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]
    flat = [item for document in documents for item in document.get("items", [document])]
    return [item for item in flat if item.get("kind") == "CustomResourceDefinition"]


async def _apply(http: httpx.AsyncClient, crd: dict[str, Any]) -> None:
    """Apply one CRD and wait until it is Established."""
    url = f"{_CRDS_PATH}/{crd['metadata']['name']}"
    response = await http.patch(
        url,
        params={"fieldManager": "localcluster", "force": "true", "fieldValidation": "Strict"},
        content=json.dumps(crd),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    if not response.is_success:
        raise InstallError(response.json()["message"])
    while not _is_established(response.json()):
        await asyncio.sleep(_POLL)
        response = await http.get(url)


def _is_established(crd: dict[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)
