"""What the objects around an Experiment come to: agent URL, judge's base URL, OTLP endpoint, template parameters.

Pure look-ups in a snapshot. A missing Agent has an answer (its Service's name); a missing gateway or template has not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.errors import AgentWithoutA2A, ExpressionRefused, GatewayMissing, TemplateMissing
from experiments.snapshot import Snapshot
from kube.objects import ObjectRef

OTLP_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
_AGENT_CARD = "/.well-known/agent-card.json"
_AGENT_PORT = 8000
_GATEWAY_PORT = 80


@dataclass(frozen=True, slots=True)
class AgentUrl:
    """Where the agent answers, with how sure that is as condition `AgentResolved`: status, reason, message."""

    url: str
    resolved: bool
    reason: str
    message: str


def agent_url(snapshot: Snapshot) -> AgentUrl:
    """Raises `AgentWithoutA2A` or `ExpressionRefused`."""
    found = _agent_url(snapshot)
    refuse_expression(f"the URL of {snapshot.subject.agent}", found.url)
    return found


def _agent_url(snapshot: Snapshot) -> AgentUrl:
    ref = snapshot.subject.agent
    agent = snapshot.get(ref)
    if agent is None:
        url = f"{_service(ref)}:{_AGENT_PORT}"
        if ref.resource in snapshot.unserved:
            return AgentUrl(url, False, "AgentRuntimeMissing", f"Agents are not served here; {url} is assumed.")
        return AgentUrl(url, False, "AgentNotFound", f"{ref} does not exist; {url} is assumed.")
    if card := agent.get("status", {}).get("url"):
        # The status holds the URL of the agent's card; evaluations need the base below which it lies.
        url = card.removesuffix(_AGENT_CARD).rstrip("/")
        return AgentUrl(url, True, "AgentReady", f"{ref} answers at {url}.")
    protocols: list[dict[str, Any]] = agent.get("spec", {}).get("protocols") or []
    a2a = next((p for p in protocols if p.get("type") == "A2A"), None)
    if protocols and a2a is None:
        spoken = ", ".join(sorted({str(p.get("type")) for p in protocols}))
        raise AgentWithoutA2A(f"{ref} speaks {spoken}; an evaluation needs A2A.")
    if (last := _last_known(snapshot)) is not None:
        return AgentUrl(last, True, "AgentNotReady", f"{ref} is not ready; its last known URL {last} is kept.")
    if a2a is None:
        url = f"{_service(ref)}:{_AGENT_PORT}"
        return AgentUrl(url, False, "AgentNotReady", f"{ref} names neither URL nor protocol; {url} is assumed.")
    url = f"{_service(ref)}:{a2a.get('port') or _AGENT_PORT}{(a2a.get('path') or '').rstrip('/')}"
    return AgentUrl(url, True, "AgentSpec", f"{ref} is not ready; its spec says {url}.")


def _last_known(snapshot: Snapshot) -> str | None:
    """The URL that this very agent once reported: it empties its status while it is not ready."""
    status, ref = snapshot.subject.status, snapshot.subject.agent
    condition = status.condition("AgentResolved")
    if condition is None or condition.status != "True" or condition.reason not in {"AgentReady", "AgentNotReady"}:
        return None
    return status.agent_url if condition.message.startswith(f"{ref} ") else None


def judge_base_url(snapshot: Snapshot) -> str | None:
    """Where the judge's model is reached, or None for the template's own default. Raises `GatewayMissing`."""
    ref = snapshot.subject.gateway
    if ref is None:
        return None
    gateway = snapshot.get(ref)
    if gateway is None:
        raise GatewayMissing(f"{ref} does not exist.")
    return f"{_service(ref)}:{gateway.get('spec', {}).get('port') or _GATEWAY_PORT}"


def otlp_endpoint(snapshot: Snapshot) -> str | None:
    """Where telemetry goes: the spec, or the first `otel-config` that says so. Raises `ExpressionRefused`."""
    spec = snapshot.subject.spec
    if spec and spec.otlp_endpoint:
        return spec.otlp_endpoint
    for ref in snapshot.subject.otel_configs:
        if endpoint := ((snapshot.get(ref) or {}).get("data") or {}).get(OTLP_VARIABLE, "").strip():
            refuse_expression(f"{OTLP_VARIABLE} of {ref}", endpoint)
            return str(endpoint)
    return None


def template_parameters(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Per phase, the parameters that its template declares, by name. Raises `TemplateMissing` naming all that are."""
    templates = {phase: (ref, snapshot.get(ref)) for phase, ref in snapshot.subject.templates.items()}
    if missing := list(dict.fromkeys(ref for ref, template in templates.values() if template is None)):
        what, do = ("TestWorkflowTemplate", "does") if len(missing) == 1 else ("TestWorkflowTemplates", "do")
        names = ", ".join(ref.name for ref in missing)
        raise TemplateMissing(f"{what} {names} {do} not exist in namespace {missing[0].namespace}.")
    return {phase: (template or {}).get("spec", {}).get("config") or {} for phase, (_, template) in templates.items()}


def refuse_expression(what: str, value: str) -> None:
    """Testkube evaluates `{{ }}` in configuration, in several rounds, so that no escape survives."""
    if "{{" in value:
        raise ExpressionRefused(f"{what} holds '{{{{', which Testkube would evaluate: {value}")


def _service(ref: ObjectRef) -> str:
    return f"http://{ref.name}.{ref.namespace}.svc.cluster.local"
