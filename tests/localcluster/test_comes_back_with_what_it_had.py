"""A cluster with a data directory is found again by the next start, and by its own parts when they were away."""

from __future__ import annotations

import httpx
import pytest
from temporalio.client import Client

from localcluster import KubectlError, LocalCluster

# It starts clusters: what still runs for another folder ends.
pytestmark = pytest.mark.usefixtures("folder")


async def test_a_later_start_finds_objects_and_workflows_and_so_do_parts_that_were_away(tmp_path):
    data = {"data_dir": tmp_path, "temporal_db": tmp_path / "temporal.db"}
    async with LocalCluster.start(**data) as cluster:
        await cluster.kubectl("create", "namespace", "kept")
        temporal = await Client.connect(cluster.temporal_address)
        await temporal.start_workflow("Any", id="kept", task_queue="none")
        async with httpx.AsyncClient() as http:
            assert (await http.get(cluster.temporal_ui_url)).is_success

    async with LocalCluster.start(**data) as cluster:
        await has_kept_all(cluster)
        environ = cluster.env()

        await cluster.stop_apiserver()
        await cluster.stop_temporal()
        with pytest.raises(KubectlError, match="refused"):
            await cluster.kubectl("get", "namespaces")
        with pytest.raises(RuntimeError, match="onnect"):
            await Client.connect(cluster.temporal_address)

        await cluster.start_apiserver()
        await cluster.start_temporal()
        assert cluster.env() == environ
        await has_kept_all(cluster)


async def has_kept_all(cluster: LocalCluster) -> None:
    assert "kept" in await cluster.kubectl("get", "namespaces")
    temporal = await Client.connect(cluster.temporal_address)
    assert (await temporal.get_workflow_handle("kept").describe()).id == "kept"
