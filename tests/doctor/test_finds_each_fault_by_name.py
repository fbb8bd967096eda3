"""Each of these is planted into an installation that is otherwise sound, and is all that the doctor finds."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, RemoveSearchAttributesRequest

from experiment_operator.doctor.report import Verdict
from experiment_operator.rbac import permissions
from experiment_operator.settings import All
from kube.errors import NotServedError
from support.objects import applied, deployment, trigger, workflow
from support.testkube import TestkubeStandIn
from webhook.x509 import issue, pem

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "deploy" / "testkube"
OTHERS_CRDS = ROOT / "localcluster" / "crds"
EXPERIMENT_CRD = ROOT / "crds" / "testbench.agentic-layer.ai_experiments.yaml"
HOST = "experiment-operator-webhook.experiment-operator.svc"
# What the doctor reads besides what the service does.
READS = ["customresourcedefinitions", "namespaces", "validatingwebhookconfigurations", "secrets"]
PLANTS = {}


def planted(name, *, verdict=Verdict.FAULT, words):
    """Registers a context manager; `name` and `words` are what the finding says."""

    def register(plant):
        PLANTS[plant.__name__.replace("_", " ")] = (asynccontextmanager(plant), name, verdict, words)

    return register


class Hospital:
    """What a plant may use."""

    def __init__(self, cluster, kube, temporal, environment, keep_history, versioned_worker, tmp_path):
        self.cluster, self.kube, self.temporal, self.environment = cluster, kube, temporal, environment
        self.keep_history, self.versioned_worker, self.tmp_path = keep_history, versioned_worker, tmp_path

    async def apply(self, *objects, namespace="testkube"):
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        flags = ("--server-side", "--force-conflicts", "-n", namespace)
        await self.cluster.kubectl("apply", *flags, "-f", "-", stdin=json.dumps(listed))

    async def kubeconfig(self, **changes):
        """Like the administrator's, with these changes of cluster or user."""
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())
        if server := changes.get("server"):
            config["clusters"][0]["cluster"]["server"] = server
        if token := changes.get("token"):
            config["users"][0]["user"] = {"token": token}
        path = self.tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        self.environment(KUBECONFIG=str(path))

    @asynccontextmanager
    async def without_crd(self, file, edit=None):
        """Until the end of the block it is gone, or is what `edit` makes of it."""
        crd = yaml.safe_load(file.read_text())
        edited = edit and edit(yaml.safe_load(file.read_text()))
        await self._remove(crd)
        if edited:
            await self._install(edited)
        try:
            yield
        finally:
            if edited:
                await self._remove(edited)
            await self._install(crd)

    async def _install(self, crd):
        await self.apply(crd)
        await self._until_served(crd, wanted=True)

    async def _remove(self, crd):
        await self.cluster.kubectl("delete", "crd", crd["metadata"]["name"])
        await self._until_served(crd, wanted=False)

    async def _until_served(self, crd, *, wanted):
        """Until discovery says so, which is a moment after the CRD does."""
        version = crd["spec"]["versions"][0]["name"]
        while True:
            try:
                found = await self.kube.discover(f"/apis/{crd['spec']['group']}/{version}")
            except NotServedError:
                found = {"resources": []}
            if (crd["spec"]["names"]["plural"] in {each["name"] for each in found["resources"]}) == wanted:
                return

    @asynccontextmanager
    async def template(self, name, edit):
        """A template without which there is one, or that is what `edit` makes of it."""
        template = yaml.safe_load((TEMPLATES / f"{name}.yaml").read_text())
        await self.cluster.kubectl("delete", "testworkflowtemplate", name, "-n", "testkube")
        if edited := edit(yaml.safe_load((TEMPLATES / f"{name}.yaml").read_text())):
            await self.apply(edited)
        try:
            yield
        finally:
            await self.cluster.kubectl("delete", "testworkflowtemplate", name, "-n", "testkube", "--ignore-not-found")
            await self.apply(template)

    @asynccontextmanager
    async def without_search_attribute(self, name, kind):
        service, namespace = self.temporal.operator_service, self.temporal.namespace
        await service.remove_search_attributes(
            RemoveSearchAttributesRequest(namespace=namespace, search_attributes=[name])
        )
        try:
            yield
        finally:
            await service.add_search_attributes(
                AddSearchAttributesRequest(namespace=namespace, search_attributes={name: kind})
            )

    @asynccontextmanager
    async def webhook(self, bundle, issued):
        """Installed, with this certificate and these CAs."""
        configuration = yaml.safe_load((ROOT / "deploy/webhook/validating-webhook-configuration.yaml").read_text())
        if bundle:
            configuration["webhooks"][0]["clientConfig"]["caBundle"] = base64.b64encode(pem(bundle)).decode()
        data = {"tls.crt": issued.certificate, "tls.key": issued.key}
        meta = {"name": "experiment-operator-webhook", "namespace": "experiment-operator"}
        data = {key: base64.b64encode(value).decode() for key, value in data.items()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kubernetes.io/tls", "data": data}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "experiment-operator"}}
        await self.apply(namespace, namespace="default")
        await self.apply(configuration, secret, namespace="experiment-operator")
        try:
            yield
        finally:
            await self.cluster.kubectl("delete", "validatingwebhookconfiguration", "experiment-operator")


@planted("settings", words="TESTKUBE_NAMESPACE: must be the name of a namespace")
async def bad_settings(hospital):
    hospital.environment(TESTKUBE_NAMESPACE="Not_A_Name")
    yield


@planted("API server", words="127.0.0.1:1")
async def api_server_away(hospital):
    await hospital.kubeconfig(server="https://127.0.0.1:1")
    yield


@planted("API server", words="Unauthorized")
async def unknown_user(hospital):
    await hospital.kubeconfig(token="nobody-knows-it")
    yield


@planted("permission testworkflows.testworkflows.testkube.io in testkube", words="may not patch")
async def missing_permission(hospital):
    lacking = ("testworkflows", "patch")
    granted = [p for p in permissions(All()) if (p.resource, p.verb) != lacking]
    rules = [{"apiGroups": [p.group], "resources": [p.resource], "verbs": [p.verb]} for p in granted]
    rules.append({"apiGroups": ["*"], "resources": READS, "verbs": ["get"]})
    meta = {"metadata": {"name": "limited"}, "apiVersion": "rbac.authorization.k8s.io/v1"}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}]
    await hospital.apply(
        {**meta, "kind": "ClusterRole", "rules": rules},
        {**meta, "kind": "ClusterRoleBinding", "roleRef": ref, "subjects": subjects},
    )
    hospital.environment(KUBECONFIG=str(hospital.cluster.kubeconfig_for("limited")))
    yield


@planted("CRD experiments.testbench.agentic-layer.ai", words="is not installed")
async def no_crd(hospital):
    async with hospital.without_crd(EXPERIMENT_CRD):
        yield


@planted("CRD experiments.testbench.agentic-layer.ai", words="it differs at spec.versions[0].schema")
async def crd_of_an_older_version(hospital):
    def without_agent_url(crd):
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        del schema["properties"]["status"]["properties"]["agentUrl"]
        return crd

    async with hospital.without_crd(EXPERIMENT_CRD, without_agent_url):
        yield


@planted("CRD testtriggers.tests.testkube.io", words="tests.testkube.io is served in v2, and this service needs v1")
async def testkube_of_another_version(hospital):
    def only_v2(crd):
        crd["spec"]["versions"][0]["name"] = "v2"
        return crd

    async with hospital.without_crd(OTHERS_CRDS / "testtriggers.yaml", only_v2):
        yield


@planted("Testkube namespace", words="nowhere does not exist")
async def testkubes_namespace_missing(hospital):
    hospital.environment(TESTKUBE_NAMESPACE="nowhere")
    yield


@planted("Testkube control plane", verdict=Verdict.WARNING, words="testkube/agent is connected to one; without GITOPS")
async def testkube_that_reads_no_custom_resources(hospital):
    agent = deployment("agent", TESTKUBE_PRO_API_KEY=None, GITOPS_KUBERNETES_TO_CLOUD_ENABLED="false")
    async with applied(hospital.cluster, agent):
        yield


@planted("Testkube API", verdict=Verdict.WARNING, words="http://127.0.0.1:1/v1/info: ")
async def testkubes_api_away(hospital):
    hospital.environment(TESTKUBE_API_URL="http://127.0.0.1:1")
    yield


@planted("Testkube API", words="does not know TestWorkflow weather, which is in testkube; it is that of testkube")
async def testkubes_api_of_another_testkube(hospital):
    async with TestkubeStandIn() as testkube, applied(hospital.cluster, workflow("weather")):
        hospital.environment(TESTKUBE_API_URL=testkube.url)
        yield


@planted("Testkube API", words="it is connected to a control plane, and it takes TestWorkflows from there")
async def testkubes_api_that_does_not_know_what_is_in_the_cluster(hospital):
    async with TestkubeStandIn() as testkube, applied(hospital.cluster, workflow("weather")):
        testkube.context = "cloud"
        hospital.environment(TESTKUBE_API_URL=testkube.url)
        yield


@planted("Testkube API", verdict=Verdict.WARNING, words="is connected to a control plane; without GITOPS")
async def testkubes_api_that_has_nothing_to_know(hospital):
    async with TestkubeStandIn() as testkube:
        testkube.context = "cloud"
        hospital.environment(TESTKUBE_API_URL=testkube.url)
        yield


@planted("TestTrigger testkube/left-behind", verdict=Verdict.WARNING, words="starts TestWorkflow gone, which does not")
async def trigger_without_its_workflow(hospital):
    async with applied(hospital.cluster, workflow("weather"), trigger("left-behind", {"name": "gone"})):
        yield


@planted("template testkube/publish-template", words="does not exist")
async def template_missing(hospital):
    async with hospital.template("publish-template", lambda _: None):
        yield


@planted("template testkube/run-template", words="does not declare the parameter agentUrl")
async def template_without_its_essential_parameter(hospital):
    def without_agent_url(template):
        del template["spec"]["config"]["agentUrl"]
        return template

    async with hospital.template("run-template", without_agent_url):
        yield


@planted("template testkube/setup-template", verdict=Verdict.WARNING, words="does not work for dataset.url")
async def template_for_one_kind_of_dataset(hospital):
    def without_url(template):
        del template["spec"]["config"]["datasetUrl"]
        return template

    async with hospital.template("setup-template", without_url):
        yield


@planted("template testkube/evaluate-template", verdict=Verdict.WARNING, words="nobody sets temperature")
async def template_with_a_parameter_that_nobody_sets(hospital):
    def with_temperature(template):
        template["spec"]["config"]["temperature"] = {"type": "string"}
        return template

    async with hospital.template("evaluate-template", with_temperature):
        yield


@planted("template testkube/gate-template", verdict=Verdict.WARNING, words="Experiments with spec.gate.enabled wait")
async def template_of_the_gate_missing(hospital):
    async with hospital.template("gate-template", lambda _: None):
        yield


@planted("template testkube/gate-template", words="does not declare the parameter maxFailedMetrics")
async def template_of_the_gate_without_its_parameter(hospital):
    def without_parameter(template):
        del template["spec"]["config"]["maxFailedMetrics"]
        return template

    async with hospital.template("gate-template", without_parameter):
        yield


@planted("CRD agents.runtime.agentic-layer.ai", verdict=Verdict.WARNING, words="has no agents")
async def agent_runtime_missing(hospital):
    async with hospital.without_crd(OTHERS_CRDS / "agents.yaml"):
        yield


@planted("Temporal", words="127.0.0.1:1 does not answer")
async def temporal_away(hospital):
    hospital.environment(TEMPORAL_ADDRESS="127.0.0.1:1")
    yield


@planted("Temporal", words="No such file")
async def temporal_certificate_missing(hospital):
    hospital.environment(TEMPORAL_TLS_CLIENT_CERT_PATH="/nowhere", TEMPORAL_TLS_CLIENT_KEY_PATH="/nowhere")
    yield


@planted("Temporal namespace", words="nowhere does not exist")
async def temporal_namespace_missing(hospital):
    hospital.environment(TEMPORAL_NAMESPACE="nowhere")
    yield


@planted("Temporal retention", verdict=Verdict.WARNING, words="1 days")
async def short_retention(hospital):
    await hospital.keep_history(timedelta(days=1))
    yield
    await hospital.keep_history(timedelta(days=30))


@planted("search attributes", words="default has no ReconciliationOutcome, without which no run can be started")
async def search_attribute_missing(hospital):
    hospital.environment(TEMPORAL_SEARCH_ATTRIBUTES="true")
    async with hospital.without_search_attribute("ReconciliationOutcome", IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD):
        yield


@planted("task queue", words="nobody works on workflows or activities of another")
async def no_worker(hospital):
    hospital.environment(TEMPORAL_TASK_QUEUE="another")
    yield


@planted("task queue", words="new runs on versioned go to workers without a version")
async def workers_of_a_version_that_is_not_the_current_one(hospital):
    hospital.environment(TEMPORAL_TASK_QUEUE="versioned")
    async with hospital.versioned_worker("versioned"):
        yield


@planted("webhook", verdict=Verdict.WARNING, words="there is no ValidatingWebhookConfiguration experiment-operator")
async def webhook_that_nobody_asks(hospital):
    hospital.environment(WEBHOOK="true")
    yield


@planted("webhook certificate", words="caBundle is empty")
async def webhook_that_nobody_trusts(hospital):
    async with hospital.webhook((), issue([HOST], timedelta(days=90))):
        yield


@planted("webhook certificate", words="expired on")
async def webhook_with_an_expired_certificate(hospital):
    issued = issue([HOST], timedelta(minutes=-30))
    async with hospital.webhook(issued.authorities, issued):
        yield


@planted("webhook certificate", verdict=Verdict.WARNING, words="not renewed yet")
async def webhook_whose_certificate_nobody_renews(hospital):
    issued = issue([HOST], timedelta(days=5))
    async with hospital.webhook(issued.authorities, issued):
        yield


@planted("webhook certificate", words="experiment-operator-webhook")
async def webhook_with_a_certificate_of_another_authority(hospital):
    async with hospital.webhook(issue([HOST], timedelta(days=90)).authorities, issue([HOST], timedelta(days=90))):
        yield


@planted("webhook certificate", words="experiment-operator-webhook")
async def webhook_with_a_certificate_for_another_host(hospital):
    issued = issue(["another.default.svc"], timedelta(days=90))
    async with hospital.webhook(issued.authorities, issued):
        yield


@pytest.mark.parametrize("what", PLANTS)
async def test_a_planted_fault_is_found_by_name(
    what, doctor, cluster, kube, temporal, environment, keep_history, versioned_worker, tmp_path
):
    plant, name, verdict, words = PLANTS[what]
    async with plant(Hospital(cluster, kube, temporal, environment, keep_history, versioned_worker, tmp_path)):
        found = [each for each in await doctor() if each.verdict != Verdict.UNCHECKED]
    assert [(each.name, each.verdict) for each in found] == [(name, verdict)]
    assert words in found[0].found
    assert found[0].advice
