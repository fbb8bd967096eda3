"""Commands reach the api by its URL or through the API server, and say what to do when they do not."""

from __future__ import annotations


async def test_through_the_api_servers_service_proxy(type_, weather, proxy, token, kubeconfig_with):
    more = {"KUBECONFIG": str(kubeconfig_with(proxy, token)), "EXPERIMENT_OPERATOR_SERVER": None}
    answer = await type_("history", weather, "--service", "testbench/api:80", **more)
    assert (answer.code, answer.err) == (0, "")
    assert "generation 1" in answer.out


async def test_a_service_of_another_name_can_be_named(type_, cluster):
    """As where a kustomization has moved or renamed it."""
    more = {"KUBECONFIG": str(cluster.kubeconfig), "EXPERIMENT_OPERATOR_SERVER": None}
    answer = await type_("why", "weather", **more)
    assert answer.code == 1
    assert 'services "experiment-operator-api" not found. Name the api\'s Service: --service,' in answer.err


async def test_without_a_token_it_says_which_to_give(type_, weather, server, kubeconfig_with):
    nobody = {"KUBECONFIG": str(kubeconfig_with(server, None))}
    answer = await type_("history", weather, **nobody)
    assert answer.code == 1
    assert "--token" in answer.err


async def test_a_token_can_be_named(type_, weather, server, token, kubeconfig_with):
    nobody = {"KUBECONFIG": str(kubeconfig_with(server, None))}
    assert (await type_("history", weather, "--token", token, **nobody)).code == 0


async def test_a_server_that_is_not_there(type_):
    answer = await type_("history", "weather", "--server", "http://127.0.0.1:1")
    assert answer.code == 1
    assert answer.err.startswith("experiment-operator: http://127.0.0.1:1")
    assert "Traceback" not in answer.err


async def test_without_any_kubeconfig_it_says_so(type_, tmp_path):
    more = {"KUBECONFIG": str(tmp_path / "nothing"), "EXPERIMENT_OPERATOR_SERVER": None}
    answer = await type_("why", "weather", **more)
    assert answer.code == 1
    assert "kubeconfig" in answer.err
