"""Who may view, edit or administer a namespace may do so with its Experiments: Kubernetes' own roles are added to."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from localcluster import KubectlError

BASE = Path(__file__).parents[2] / "deploy" / "base"
READ, WRITE = {"get", "list", "watch"}, {"create", "update", "patch", "delete", "deletecollection"}


@pytest.fixture(scope="module")
async def allowed(cluster):
    """`await allowed("view")`: the verbs of somebody to whom that role is bound in a namespace."""
    await cluster.kubectl("apply", "-k", str(BASE))

    async def verbs(role):
        namespace = f"people-{uuid.uuid4().hex[:8]}"
        await cluster.kubectl("create", "namespace", namespace)
        bind = ("create", "rolebinding", role, "-n", namespace, f"--clusterrole={role}", f"--user={role}-{namespace}")
        await cluster.kubectl(*bind)
        found = set()
        for verb in (*READ, *WRITE):
            resource = "experiments.testbench.agentic-layer.ai"
            try:
                await cluster.kubectl("auth", "can-i", verb, resource, "-n", namespace, f"--as={role}-{namespace}")
                found.add(verb)
            except KubectlError:
                pass
        return found

    return verbs


@pytest.mark.parametrize(("role", "wanted"), [("view", READ), ("edit", READ | WRITE), ("admin", READ | WRITE)])
async def test_each_role_may_do_what_it_says_and_no_more(allowed, role, wanted):
    async with asyncio.timeout(60):  # a controller adds up the rules, and the authorizer hears of them later
        while await allowed(role) != wanted:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.1)
