"""Replicas that see to one certificate, on the real API server, for a ValidatingWebhookConfiguration of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kube.client import KubeClient
from localcluster import LocalCluster
from support.replicas import Replicas


@pytest.fixture
async def replicas(cluster: LocalCluster, kube: KubeClient, namespace: str, tmp_path: Path) -> AsyncIterator[Replicas]:
    """With a free Lease; without Secret and configuration."""
    found = Replicas(cluster, kube, namespace, tmp_path)
    await found.lease()
    yield found
    await found.close()
