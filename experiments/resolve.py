"""What the objects around an Experiment come to: agent URL, the judge's gateway, OTLP endpoint, template parameters.

Pure look-ups in a snapshot. A missing Agent has an answer (its Service's name); a missing gateway or template has not.
What these objects say is held to the rules of the field of an Experiment that it stands for: nobody else checks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from experiments.errors import AgentWithoutA2A, ExpressionRefused, GatewayMissing, TemplateMissing, ValueRefused
from experiments.models import DnsName, ExperimentSpec, Url, sentences
from experiments.resources import AI_GATEWAY
from experiments.snapshot import GATEWAY_NAMESPACE, OTEL_CONFIG, Snapshot
from kube.objects import CONFIG_MAP, Object, ObjectRef

BASE_URL_VARIABLE = "OPENAI_BASE_URL"
OTLP_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_VARIABLE = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
# Parameters of templates of the wild that stand for an environment variable, in which the user's own value wins.
CONVEYED = {
    "otelExporterOtlpEndpoint": OTLP_VARIABLE,
    "openAiBasePath": BASE_URL_VARIABLE,
    "openApiBasePath": BASE_URL_VARIABLE,
    "openAiApiKey": "OPENAI_API_KEY",
}
_AGENT_CARD = "/.well-known/agent-card.json"
_AGENT_PORT = 8000
_GATEWAY_PORT = 80

_T = TypeVar("_T")
_URL: TypeAdapter[str] = TypeAdapter(Url)
_NAME: TypeAdapter[str] = TypeAdapter(DnsName)
_PORT: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(strict=True, ge=1, le=65535)])
_MAX_SHOWN = 100


@dataclass(frozen=True, slots=True)
class AgentUrl:
    """Where the agent answers, with how sure that is as condition `AgentResolved`: status, reason, message."""

    url: str
    resolved: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Where the judge's model is reached, None for the template's own default, and a sentence that says why there."""

    url: str | None
    message: str


def agent_url(snapshot: Snapshot) -> AgentUrl:
    """Find the URL at which the agent answers A2A. Raises `AgentWithoutA2A`, `ExpressionRefused` or `ValueRefused`."""
    found = _agent_url(snapshot)
    _hold(_URL, found.url, f"the URL of {snapshot.subject.agent}")
    return found


def _agent_url(snapshot: Snapshot) -> AgentUrl:
    ref = snapshot.subject.agent
    agent = snapshot.get(ref)
    if agent is None:
        url = f"{_service(ref)}:{_AGENT_PORT}"
        if ref.resource in snapshot.unserved:
            return AgentUrl(url, False, "AgentRuntimeMissing", f"Agents are not served here; {url} is assumed.")
        return AgentUrl(url, False, "AgentNotFound", f"{ref} does not exist; {url} is assumed.")
    if card := _part(agent, "status", "url"):
        # The status holds the URL of the agent's card; evaluations need the base below which it lies.
        url = str(card).removesuffix(_AGENT_CARD).rstrip("/")
        return AgentUrl(url, True, "AgentReady", f"{ref} answers at {url}.")
    found = _part(agent, "spec", "protocols")
    protocols = found if isinstance(found, list) else []
    a2a = next((p for p in protocols if _part(p, "type") == "A2A"), None)
    if protocols and a2a is None:
        spoken = ", ".join(sorted({str(_part(p, "type")) for p in protocols}))
        raise AgentWithoutA2A(f"{ref} speaks {spoken}; an evaluation needs A2A.")
    if (last := _last_known(snapshot)) is not None:
        return AgentUrl(last, True, "AgentNotReady", f"{ref} is not ready; its last known URL {last} is kept.")
    if a2a is None:
        url = f"{_service(ref)}:{_AGENT_PORT}"
        return AgentUrl(url, False, "AgentNotReady", f"{ref} names neither URL nor protocol; {url} is assumed.")
    port = _hold(_PORT, a2a.get("port") or _AGENT_PORT, f"the port of A2A of {ref}")
    url = f"{_service(ref)}:{port}{str(a2a.get('path') or '').rstrip('/')}"
    return AgentUrl(url, True, "AgentSpec", f"{ref} is not ready; its spec says {url}.")


def _last_known(snapshot: Snapshot) -> str | None:
    """Return the URL that this very agent once reported: it empties its status while it is not ready."""
    status, ref = snapshot.subject.status, snapshot.subject.agent
    condition = status.condition("AgentResolved")
    if condition is None or condition.status != "True" or condition.reason not in {"AgentReady", "AgentNotReady"}:
        return None
    return status.agent_url if condition.message.startswith(f"{ref} ") else None


def judge(snapshot: Snapshot) -> Judge:
    """Find the AiGateway through which the judge's model is reached. Raises `GatewayMissing` or `ValueRefused`.

    Named in the spec, it is looked for in the namespace of the reference or, without one, in the Experiment's own and
    then in `ai-gateway`. Else it is the one that the Agent's status names, or the first of `ai-gateway`, as upstream.
    """
    subject = snapshot.subject
    if candidates := subject.gateways:
        if (ref := next((ref for ref in candidates if snapshot.get(ref) is not None), None)) is None:
            raise GatewayMissing(
                f"{' and '.join(map(str, candidates))} {'does' if len(candidates) == 1 else 'do'} not exist."
            )
        return _judge(snapshot, ref, "which spec.aiGatewayRef names")
    if used := _gateway_of_agent(snapshot):
        if snapshot.get(used) is None:
            raise GatewayMissing(f"{used}, which {subject.agent} uses, does not exist.")
        return _judge(snapshot, used, f"which {subject.agent} uses")
    shared = sorted(
        ref.name for ref in snapshot.objects if ref.resource == AI_GATEWAY and ref.namespace == GATEWAY_NAMESPACE
    )
    if shared:
        return _judge(
            snapshot, ObjectRef(AI_GATEWAY, GATEWAY_NAMESPACE, shared[0]), f"the first in {GATEWAY_NAMESPACE}"
        )
    return Judge(None, "There is no AiGateway: the judge is where the evaluate template says.")


def _judge(snapshot: Snapshot, ref: ObjectRef, why: str) -> Judge:
    port = _hold(_PORT, _part(snapshot.get(ref), "spec", "port") or _GATEWAY_PORT, f"spec.port of {ref}")
    return Judge(f"{_service(ref)}:{port}", f"The judge is reached through {ref}, {why}.")


def _gateway_of_agent(snapshot: Snapshot) -> ObjectRef | None:
    agent = snapshot.subject.agent
    named = _part(snapshot.get(agent), "status", "aiGatewayRef")
    if not (name := _part(named, "name")):
        return None
    namespace, what = _part(named, "namespace") or agent.namespace, f"status.aiGatewayRef of {agent}"
    return ObjectRef(AI_GATEWAY, _hold(_NAME, namespace, what), _hold(_NAME, name, what))


def otlp_endpoint(snapshot: Snapshot) -> str | None:
    """Find where telemetry goes: the spec, or the first `otel-config` that says so.

    Raises `ExpressionRefused` or `ValueRefused`.
    """
    spec = snapshot.subject.spec
    if spec and spec.otlp_endpoint:
        return spec.otlp_endpoint
    for ref in snapshot.subject.otel_configs:
        if endpoint := str(_part(snapshot.get(ref), "data", OTLP_VARIABLE) or "").strip():
            return _hold(_URL, endpoint, f"{OTLP_VARIABLE} of {ref}")
    return None


def is_observed(snapshot: Snapshot, spec: ExperimentSpec, endpoint: str | None) -> bool:
    """Tell whether telemetry has somewhere to go: `endpoint`, or what the user's own environment says.

    Of variables for one signal only that for traces counts: nothing else is sent where the general one is not set. A
    key of `otel-config` that is not there leaves the variable unset: Testkube takes such references for optional.
    """
    traces = spec.variable(_TRACES_VARIABLE)
    if traces and (traces.value or traces.value_from):
        return True
    own = spec.variable(OTLP_VARIABLE)
    if own is None or own.value_from is None:
        return bool(own.value if own else endpoint)
    source = own.value_from.config_map_key_ref
    if source is None or source.name != OTEL_CONFIG:
        return True
    config = snapshot.get(ObjectRef(CONFIG_MAP, snapshot.subject.placement.namespace, OTEL_CONFIG))
    return bool(_part(config, "data", source.key))


def template_parameters(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Read, per phase, the parameters that its template declares. Raises `TemplateMissing` naming all that are."""
    templates = {phase: (ref, snapshot.get(ref)) for phase, ref in snapshot.subject.templates.items()}
    if missing := list(dict.fromkeys(ref for ref, template in templates.values() if template is None)):
        what, do = ("TestWorkflowTemplate", "does") if len(missing) == 1 else ("TestWorkflowTemplates", "do")
        names = ", ".join(ref.name for ref in missing)
        raise TemplateMissing(f"{what} {names} {do} not exist in namespace {missing[0].namespace}.")
    return {phase: _declared(template or {}) for phase, (_, template) in templates.items()}


def template_default(snapshot: Snapshot, parameter: str) -> str | None:
    """Return the first default that a template of this Experiment has for `parameter`."""
    declared = (_declared(template).get(parameter) or {} for template in _templates(snapshot).values())
    return next((str(each["default"]) for each in declared if each.get("default")), None)


def template_setters(snapshot: Snapshot, variable: str) -> dict[str, set[str]]:
    """Return the templates whose steps set an environment variable, by name, with the parameters that they declare."""
    return {
        ref.name: {*_declared(template)}
        for ref, template in _templates(snapshot).items()
        if variable in _read(template).environment
    }


def blank_setters(snapshot: Snapshot, variable: str) -> list[str]:
    """Return the templates whose steps set an environment variable from a parameter that is empty by default."""
    conveying = conveyors(variable)
    return [
        ref.name
        for ref, template in _templates(snapshot).items()
        if variable in _read(template).environment
        and (found := [declared for name, declared in _declared(template).items() if name in conveying])
        and not any((declared or {}).get("default") for declared in found)
    ]


def conveyors(variable: str) -> set[str]:
    """Return the parameters of templates by which an environment variable of the user's is passed on."""
    return {parameter for parameter, name in CONVEYED.items() if name == variable}


def _templates(snapshot: Snapshot) -> dict[ObjectRef, Object]:
    """Return those that exist."""
    return {ref: found for ref in snapshot.subject.templates.values() if (found := snapshot.get(ref))}


def _declared(template: Object) -> dict[str, Any]:
    return _read(template).parameters


@dataclass(frozen=True, slots=True)
class _Template:
    """What plans read of one: its parameters, and the environment variables that its steps set."""

    parameters: dict[str, Any]
    environment: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """An object of the cluster, which is the same as itself alone: nobody changes it once it is read."""

    spec: Any

    def __hash__(self) -> int:
        return id(self.spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.spec is self.spec


def _read(template: Object) -> _Template:
    return _read_once(_Same(template.get("spec")))


@lru_cache(maxsize=256)
def _read_once(template: _Same) -> _Template:
    """Walk through a template, which may be large, no more often than there are templates, not Experiments."""
    declared = _part(template.spec, "config")
    parameters = declared.items() if isinstance(declared, dict) else ()
    return _Template(
        {name: each if isinstance(each, dict) else {} for name, each in parameters},
        frozenset(map(str, _environment_names(template.spec))),
    )


def _environment_names(part: Any) -> Iterator[str]:
    """Yield those of a template's containers and steps, which nest."""
    if isinstance(part, list):
        for item in part:
            yield from _environment_names(item)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "env" and isinstance(value, list):
                yield from (each["name"] for each in value if isinstance(each, dict) and "name" in each)
            else:
                yield from _environment_names(value)


def _hold(rule: TypeAdapter[_T], value: Any, what: str) -> _T:
    """Hold a value to the rule of the field it stands for. Raises `ExpressionRefused` or `ValueRefused`.

    Testkube evaluates `{{ }}` in configuration, in several rounds, so that no escape survives.
    """
    if isinstance(value, str) and "{{" in value:
        raise ExpressionRefused(f"{what} holds '{{{{', which Testkube would evaluate: {value}")
    try:
        return rule.validate_python(value)
    except ValidationError as error:
        said = sentences(error)[0].partition(": ")[2]
        raise ValueRefused(f"{what}: {said}: {repr(value)[:_MAX_SHOWN]}") from None


def _part(value: Any, *path: str) -> Any:
    """Return what lies there in an object of any shape, or None."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _service(ref: ObjectRef) -> str:
    return f"http://{ref.name}.{ref.namespace}.svc.cluster.local"
