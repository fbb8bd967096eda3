"""What each role must be allowed by RBAC, in one place: `doctor` asks for it, and the tests of `deploy/` compare.

What is watched follows from the sources of `experiments.snapshot`; the rest are the calls that `watcher.dispatcher`,
`watcher.executions`, `worker.reader`, the activities of `worker`, `api.auth.kubernetes` and `kube.lease` make. This
grants nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from experiment_operator.settings import Api, ReconcilingSettings, Watcher, Worker
from experiments.names import CHILD_SUFFIXES
from experiments.resources import AGENT, AI_GATEWAY, EXPERIMENT, TEST_WORKFLOW_TEMPLATE
from experiments.snapshot import OTEL_CONFIG, dependency_sources, name_sources, sources
from kube.objects import (
    ACCESS_REVIEW,
    CONFIG_MAP,
    EVENT,
    LEASE,
    SECRET,
    TOKEN_REVIEW,
    VALIDATING_WEBHOOK_CONFIGURATION,
    Resource,
    Source,
)


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """As in a rule of RBAC: `resource` with its subresource, like `experiments/status`.

    An empty namespace means all of them, or that the resource has none; an empty name means any.
    """

    group: str
    resource: str
    verb: str
    namespace: str = ""
    name: str = ""


def permissions(chosen: ReconcilingSettings) -> frozenset[Permission]:
    """List those of all roles that these settings are for, each once: what holds for all is not repeated for one."""
    found: set[Permission] = set()
    if isinstance(chosen, Watcher):
        found |= _watcher(chosen)
    if isinstance(chosen, Worker):
        found |= _worker(chosen)
    if isinstance(chosen, Api):
        found |= _api(chosen)
    return frozenset(p for p in found if not any(wider in found for wider in _wider(p)))


def _wider(permission: Permission) -> set[Permission]:
    """Name those that make this one needless: in all namespaces, under any name, or both."""
    everywhere, any_name = replace(permission, namespace=""), replace(permission, name="")
    return {everywhere, any_name, replace(everywhere, name="")} - {permission}


def _watcher(chosen: Watcher) -> set[Permission]:
    found = _watch(sources(chosen.options))
    found |= _may("get", EXPERIMENT)  # this and the children: before a run is started because of what a cache says
    for child in CHILD_SUFFIXES:
        found |= _may("get", child, chosen.options.watched_in)
    if chosen.testkube_to_ask:  # Events say when to look at an execution, and the status whether Testkube answers
        found |= _may("list watch", EVENT, chosen.options.generated_in)
        found |= _may("patch", EXPERIMENT, subresource="status")
    if chosen.leader_elect:
        found |= _may("create", LEASE, chosen.lease_namespace)  # which RBAC cannot restrict to a name
        found |= _may("get patch", LEASE, chosen.lease_namespace, name=chosen.lease_name)
    return found


def _worker(chosen: Worker) -> set[Permission]:
    options = chosen.options
    found = _watch(dependency_sources(options)) | _may("get", CONFIG_MAP, name=OTEL_CONFIG)
    found |= _may("get", AGENT) | _may("get", AI_GATEWAY) | _may("get", TEST_WORKFLOW_TEMPLATE, options.generated_in)
    found |= _may("get patch", EXPERIMENT) | _may("patch", EXPERIMENT, subresource="status") | _may("create", EVENT)
    for child in CHILD_SUFFIXES:
        found |= _may("get list delete", child, options.watched_in) | _may("create patch", child, options.generated_in)
    return found


def _api(chosen: Api) -> set[Permission]:
    found = _watch([*sources(chosen.options), *name_sources(chosen.options)])
    if chosen.api_auth == "kubernetes":
        found |= _may("create", TOKEN_REVIEW) | _may("create", ACCESS_REVIEW)
    return found | _webhook(chosen) if chosen.webhook else found


def _webhook(chosen: Api) -> set[Permission]:
    """Allow to look again for what caches do not know; and, unless others keep the certificate, to keep it."""
    found = _may("get", AGENT) | _may("get", AI_GATEWAY)
    found |= _may("get", TEST_WORKFLOW_TEMPLATE, chosen.options.generated_in)
    if chosen.webhook_tls_dir is None:
        own = chosen.webhook_namespace
        found |= _may("create", SECRET, own) | _may("create", LEASE, own)
        found |= _may("get list watch patch", SECRET, own, name=chosen.webhook_name)
        found |= _may("get patch", LEASE, own, name=chosen.webhook_name)
        found |= _may("get list watch patch", VALIDATING_WEBHOOK_CONFIGURATION, name=chosen.webhook_configuration)
    return found


def _watch(watched: Iterable[Source]) -> set[Permission]:
    """Allow to list and watch. RBAC knows field selectors for a name, and no others."""
    return {
        permission
        for source in watched
        for permission in _may("list watch", source.resource, source.namespace, name=_name(source))
    }


def _name(source: Source) -> str:
    field, _, value = source.field_selector.partition("=")
    return value if field == "metadata.name" else ""


def _may(
    verbs: str, resource: Resource, namespace: str = "", *, name: str = "", subresource: str = ""
) -> set[Permission]:
    group = resource.api_version.rpartition("/")[0]
    plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
    return {Permission(group, plural, verb, namespace, name) for verb in verbs.split()}
