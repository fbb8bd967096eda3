"""The part of `doctor` that is about Testkube itself: whether it runs what is made for it, and whether its API answers.

Its kinds and namespace are in `kubernetes`, the phase templates in `templates`.
"""

from __future__ import annotations

from experiment_operator.doctor.report import DoctorContext, Finding, Findings, fault, ok, unchecked, warning
from experiment_operator.doctor.templates import namespaces
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.client import KubeClient
from kube.errors import ForbiddenError
from kube.objects import DEPLOYMENT, Object
from testkube.client import Info, TestkubeClient
from testkube.errors import TestkubeError

_CONTROL_PLANE, _API, _TRIGGERS = "Testkube control plane", "Testkube API", "TestTriggers"

_CONNECTION = "TESTKUBE_PRO_"
_SYNCHRONISATION = "GITOPS_KUBERNETES_TO_CLOUD_ENABLED"
_SYNCHRONISE = f"set {_SYNCHRONISATION}=true for Testkube's agent, or connect it to no control plane"
_NOTHING_RUNS = "it takes TestWorkflows from there, not from this cluster: Experiments are Ready, and nothing runs"


async def control_plane(context: DoctorContext) -> Findings:
    """Look for agents that are connected to a control plane, and read custom resources only if they are told to."""
    for namespace in await namespaces(context.kube, context.chosen.options):
        try:
            deployments = await context.kube.list(DEPLOYMENT, namespace=namespace)
        except ForbiddenError:
            yield unchecked(_CONTROL_PLANE, f"Deployments in {namespace} may not be listed")
            continue
        connected = [each["metadata"]["name"] for each in deployments if _is_connected(each)]
        if not connected:
            yield ok(_CONTROL_PLANE, f"no Deployment in {namespace} is connected to one")
        # Of several agents, one is enough to tell the control plane.
        elif any(_synchronises(each) for each in deployments):
            yield ok(_CONTROL_PLANE, f"{namespace} is connected to one, and tells it of TestWorkflows in this cluster")
        else:
            words = f"Deployment {namespace}/{connected[0]} is connected to one; without {_SYNCHRONISATION}=true"
            yield warning(_CONTROL_PLANE, f"{words} {_NOTHING_RUNS}", _SYNCHRONISE)


def _is_connected(deployment: Object) -> bool:
    return any(each["name"].startswith(_CONNECTION) and _is_set(each) for each in _env(deployment))


def _synchronises(deployment: Object) -> bool:
    """Tell whether it does, or may: a value that comes from elsewhere is not known here."""
    values = [each for each in _env(deployment) if each["name"] == _SYNCHRONISATION and _is_set(each)]
    return any(str(each.get("value", "true")).lower() == "true" for each in values)


def _env(deployment: Object) -> list[Object]:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return [variable for container in containers for variable in container.get("env", ())]


def _is_set(variable: Object) -> bool:
    return bool(variable.get("value") or variable.get("valueFrom"))


async def api(context: DoctorContext) -> Findings:
    """Ask Testkube's API whether it is there, and whether it knows a TestWorkflow that is in the cluster."""
    url = context.chosen.testkube_api_url
    if url is None:
        yield ok(_API, "TESTKUBE_API_URL is not set: executions are not followed, nor stopped with their Experiment")
        return
    if not context.chosen.options.generated_in:
        words = "TESTKUBE_API_URL is not used with TESTKUBE_NAMESPACE=.: there is no one Testkube"
        yield warning(_API, f"{words}; executions of a deleted Experiment are not stopped", "set it to nothing")
        return
    async with TestkubeClient(str(url), "doctor") as client:
        try:
            yield await _same_testkube(context, client, await client.info())
        except TestkubeError as error:
            advice = "set TESTKUBE_API_URL to Testkube's API server, or to nothing; a NetworkPolicy may be in between"
            yield warning(_API, str(error), advice)


async def _same_testkube(context: DoctorContext, client: TestkubeClient, info: Info) -> Finding:
    namespace, connected = context.chosen.options.testkube_namespace, info.context == "cloud"
    workflow = await _oldest_workflow(context.kube, namespace)
    known = bool(workflow) and await client.has_workflow(workflow)
    if workflow and not known and workflow == await _oldest_workflow(context.kube, namespace):  # and was not deleted
        words = f"does not know TestWorkflow {workflow}, which is in {namespace}"
        if connected:
            return fault(_API, f"{words}; it is connected to a control plane, and {_NOTHING_RUNS}", _SYNCHRONISE)
        advice = "TESTKUBE_NAMESPACE and TESTKUBE_API_URL have to be of the same Testkube"
        return fault(_API, f"{words}; it is that of {info.namespace}", advice)
    if connected and not known:
        words = f"is connected to a control plane; without {_SYNCHRONISATION}=true"
        return warning(_API, f"{words} {_NOTHING_RUNS}", _SYNCHRONISE)
    return ok(_API, f"{info.version} answers at {context.chosen.testkube_api_url}")


async def _oldest_workflow(kube: KubeClient, namespace: str) -> str:
    """Name the one that Testkube has had most time to hear of; empty where there is none."""
    found = await kube.list(TEST_WORKFLOW, namespace=namespace)
    oldest = min(found, key=lambda each: str(each["metadata"]["creationTimestamp"]), default=None)
    return str(oldest["metadata"]["name"]) if oldest else ""


async def triggers(context: DoctorContext) -> Findings:
    """Look for TestTriggers, whoever made them, that start a TestWorkflow which does not exist."""
    for namespace in await namespaces(context.kube, context.chosen.options):
        try:
            found = await context.kube.list(TEST_TRIGGER, namespace=namespace)
            workflows = await context.kube.list(TEST_WORKFLOW, namespace=namespace)
        except ForbiddenError as error:
            yield unchecked(_TRIGGERS, str(error))
            continue
        names = {each["metadata"]["name"] for each in workflows}
        starts = {each["metadata"]["name"]: _workflow_of(each) for each in found}
        dangling = {trigger: workflow for trigger, workflow in starts.items() if workflow and workflow not in names}
        for trigger, workflow in dangling.items():
            words = f"starts TestWorkflow {workflow}, which does not exist; its event's other triggers may be lost"
            advice = f"kubectl delete testtrigger -n {namespace} {trigger}, or make the TestWorkflow"
            yield warning(f"TestTrigger {namespace}/{trigger}", words, advice)
        if not dangling:
            yield ok(_TRIGGERS, f"in {namespace} none starts a TestWorkflow that does not exist")


def _workflow_of(trigger: Object) -> str:
    """Name the TestWorkflow without which it fails; empty where it is off, or starts whatever matches."""
    spec = trigger.get("spec", {})
    if spec.get("disabled") or spec.get("execution") != "testworkflow":
        return ""
    return str(spec.get("testSelector", {}).get("name") or "")
