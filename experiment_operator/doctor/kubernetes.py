"""The part of `doctor` that is about the API server: permissions, kinds, and Testkube's namespace.

Templates are in `templates`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import yaml

from crds import experiment_crd as bundled_crd
from experiment_operator import rbac
from experiment_operator.doctor.report import DoctorContext, Finding, Findings, fault, ok, warning
from experiment_operator.rbac import Permission
from experiments.drift import differences
from experiments.resources import (
    AGENT,
    AI_GATEWAY,
    EXPERIMENT,
    GROUP,
    TEST_TRIGGER,
    TEST_WORKFLOW,
    TEST_WORKFLOW_TEMPLATE,
)
from kube.client import KubeClient
from kube.errors import ForbiddenError, KubeError, NotFoundError, NotServedError
from kube.objects import CRD, NAMESPACE, Object, ObjectRef, Resource

_SELF_REVIEW = Resource("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews")
_ACCESS_REVIEW = Resource("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews")

_APPLY_CRD = "experiment-operator crd | kubectl apply --server-side --force-conflicts -f -"
_MAX_REVIEWS_AT_ONCE = 16


async def api_server(context: DoctorContext) -> Findings:
    try:
        connected = await KubeClient.connect(context.chosen.kubeconfig, role="doctor")
        context.kube = await context.stack.enter_async_context(connected)
        version = await context.kube.discover("/version")
        who = await context.kube.create_review(_SELF_REVIEW, {})
    except KubeError as error:
        yield fault("API server", str(error), "KUBECONFIG has to lead to one that runs, as a user whom it knows")
    else:
        yield ok("API server", f"{version['gitVersion']}, authenticated as {who['status']['userInfo']['username']}")


async def permissions(context: DoctorContext) -> Findings:
    """Check what this service may do, a line for each resource in each namespace."""
    verbs: defaultdict[Permission, list[str]] = defaultdict(list)
    for permission in sorted(rbac.permissions(context.chosen)):
        verbs[replace(permission, verb="")].append(permission.verb)
    at_once = asyncio.Semaphore(_MAX_REVIEWS_AT_ONCE)
    for finding in await asyncio.gather(*(_permission(context.kube, at_once, *each) for each in verbs.items())):
        yield finding


async def _permission(kube: KubeClient, at_once: asyncio.Semaphore, on: Permission, verbs: list[str]) -> Finding:
    resource, _, subresource = on.resource.partition("/")
    asked = {"group": on.group, "resource": resource, "subresource": subresource, "name": on.name}
    refused = []
    for verb in verbs:
        async with at_once:
            spec = {"resourceAttributes": {**asked, "namespace": on.namespace, "verb": verb}}
            if not (await kube.create_review(_ACCESS_REVIEW, {"spec": spec}))["status"]["allowed"]:
                refused.append(verb)
    what = f"{on.resource}.{on.group}" if on.group else on.resource
    name = " ".join(filter(None, ("permission", what, on.name, on.namespace and f"in {on.namespace}")))
    if refused:
        return fault(name, f"may not {', '.join(refused)}", "grant it, as the roles in deploy/base do")
    return ok(name, f"may {', '.join(verbs)}")


async def experiment_crd(context: DoctorContext) -> Findings:
    name = _crd_name(EXPERIMENT)
    live: Object | None
    try:
        live = await context.kube.get(ObjectRef(CRD, "", f"{EXPERIMENT.plural}.{GROUP}"))
    except NotFoundError:
        yield fault(name, "is not installed", _APPLY_CRD)
        return
    except ForbiddenError:
        live = None
    if missing := await _missing(context.kube, EXPERIMENT):
        yield fault(name, missing, _APPLY_CRD)
        return
    if live is None:
        yield warning(name, "is served, but may not be compared")
        return
    found = [difference.path for difference in differences(yaml.safe_load(bundled_crd())["spec"], live["spec"])]
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield fault(name, f"is another version's: it differs at spec.{found[0]}{more}", _APPLY_CRD)
    else:
        yield ok(name, "is that of this version")


async def testkube(context: DoctorContext) -> Findings:
    for resource in (TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE, TEST_TRIGGER):
        yield await _kind(context.kube, resource, fault, "install Testkube")
    name, namespace = "Testkube namespace", context.chosen.options.generated_in
    if not namespace:
        yield ok(name, "each Experiment's own")
        return
    try:
        found = await context.kube.get(ObjectRef(NAMESPACE, "", namespace))
    except NotFoundError:
        yield fault(name, f"{namespace} does not exist", "set TESTKUBE_NAMESPACE to where Testkube is installed")
    except ForbiddenError:
        yield warning(name, f"{namespace} may not be read")
    else:
        if "deletionTimestamp" in found["metadata"]:
            yield fault(name, f"{namespace} is being deleted", "install Testkube again once it has gone")
        else:
            yield ok(name, f"{namespace} exists")


async def agent_runtime(context: DoctorContext) -> Findings:
    for resource in (AGENT, AI_GATEWAY):
        advice = "install the agent runtime, or leave it so if agents are deployed without it"
        yield await _kind(context.kube, resource, warning, advice)


async def _kind(
    kube: KubeClient, resource: Resource, lacks: Callable[[str, str, str], Finding], advice: str
) -> Finding:
    name, missing = _crd_name(resource), await _missing(kube, resource)
    return lacks(name, missing, advice) if missing else ok(name, f"serves {resource.api_version}")


def _crd_name(resource: Resource) -> str:
    return f"CRD {resource.plural}.{resource.api_version.partition('/')[0]}"


async def _missing(kube: KubeClient, resource: Resource) -> str:
    """Say what keeps the API server from serving it; empty where it does. Everybody may ask."""
    group, _, version = resource.api_version.partition("/")
    try:
        versions = [each["version"] for each in (await kube.discover(f"/apis/{group}"))["versions"]]
        if version not in versions:
            return f"{group} is served in {', '.join(versions)}, and this service needs {version}"
        served = [each["name"] for each in (await kube.discover(f"/apis/{resource.api_version}"))["resources"]]
    except NotServedError:
        return f"{group} is not served"
    return "" if resource.plural in served else f"{resource.api_version} has no {resource.plural}"
