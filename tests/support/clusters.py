"""What folders of tests install in their clusters, and who may do what there."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from experiments.options import Options
from experiments.snapshot import name_sources, sources
from kube.caches import Caches
from kube.client import KubeClient
from localcluster import LocalCluster

ROOT = Path(__file__).parents[2]
CRDS, DEPLOY = ROOT / "crds", ROOT / "deploy"
SAMPLES, TEMPLATES = DEPLOY / "samples", DEPLOY / "testkube"


async def install_testkube(cluster: LocalCluster) -> None:
    """Make Testkube's namespace, with what every installation has there before the first Experiment."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "testkube"}}
    await cluster.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    await cluster.kubectl("apply", "-n", "testkube", "-f", str(TEMPLATES))


async def connect_temporal(cluster: LocalCluster) -> Client:
    return await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)


async def kubeconfig_of(cluster: LocalCluster, role: str, directory: Path, namespace: str = "") -> Path:
    """Write a kubeconfig with the token of a role's ServiceAccount; `deploy/base` must have been applied.

    With a namespace, `role` is the ServiceAccount's whole name.
    """
    account = ("-n", namespace or "experiment-operator", role if namespace else f"experiment-operator-{role}")
    token = (await cluster.kubectl("create", "token", *account)).strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    path = directory / f"kubeconfig-of-{role}"
    path.write_text(yaml.safe_dump(config))
    return path


def all_caches(kube: KubeClient, *, max_pause: float = 30) -> Caches:
    """Caches of all that watcher, api and webhook read. Somebody has to run them."""
    options = Options()
    return Caches(kube, [*sources(options), *name_sources(options)], max_pause=max_pause)
