"""What an Experiment is: the pydantic side of the CRD in `crds/`.

The two say the same of every object, and `tests/crd` holds them together. What one object alone cannot tell (does the
template exist, does a scheduler take this cron) is judged later, in the plan.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from itertools import takewhile
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    JsonValue,
    StrictBool,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from experiments.resources import EXPERIMENT
from kube.objects import Object

# RE2 in the CRD and `re` here agree on these: ASCII classes written out, no \s, \d or \w, and always the whole value.
LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_URL = (
    r"https?://([!$-.0-;=A-Z_a-z~]+@)?([A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*[.]?|\[[0-9A-Fa-f:.]+\])"
    r"(:[0-9]{1,5})?([/?#][!#-;=?-\[\]_a-z~]*)?"
)
_CRON_FIELDS = (
    ("minute", "0-59", "[0-5]?[0-9]"),
    ("hour", "0-23", "[01]?[0-9]|2[0-3]"),
    ("day of the month", "1-31", "0?[1-9]|[12][0-9]|3[01]"),
    ("month", "1-12 or JAN-DEC", "0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"),
    ("day of the week", "0-6 or SUN-SAT", "[0-6]|sun|mon|tue|wed|thu|fri|sat"),
)


def _matches(pattern: str, sentence: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(sentence)
        return value

    return AfterValidator(check)


def _no_expression(value: str) -> str:
    if "{{" in value:
        raise ValueError("must not contain '{{': Testkube would evaluate it")
    return value


def _closed_expressions(value: str) -> str:
    if value.rfind("{{") > value.rfind("}}"):
        raise ValueError("has a '{{' without its '}}': Testkube would take it for an expression and fail")
    return value


def _whole(value: Any) -> Any:
    """Take 60.0 for an integer, as the API server does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _cron(value: str) -> str:
    fields = value.split(" ")
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError(
            "must be five fields with one space between them: minute, hour, day of month, month, day of week"
        )
    for field, (name, allowed, number) in zip(fields, _CRON_FIELDS, strict=True):
        part = rf"(\*|({number})(-({number}))?)(/[1-9][0-9]?)?"
        if not re.fullmatch(f"{part}(,{part})*", field.lower()):
            raise ValueError(f"the {name} must be * or {allowed}; ranges (1-5), lists (1,3) and steps (*/2) are fine")
    return value


DnsLabel = Annotated[
    str,
    Field(max_length=63),
    _matches(
        LABEL,
        "must be a DNS label: lower-case letters, digits and '-', beginning and ending with a letter or digit",
    ),
]
DnsName = Annotated[
    str,
    Field(max_length=253),
    _matches(
        rf"{LABEL}([.]{LABEL})*",
        "must be a DNS name: lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or "
        "digit",
    ),
]
Url = Annotated[
    str,
    Field(max_length=2048),
    _matches(
        _URL,
        "must be an http:// or https:// URL, in which spaces, quotes, braces and non-ASCII letters are percent-encoded",
    ),
]
NoExpression = AfterValidator(_no_expression)
Threshold = Annotated[float, Field(strict=True, ge=0, le=1)]
Model = Annotated[str, Field(min_length=1, max_length=256), NoExpression]
Cron = Annotated[str, Field(max_length=256), AfterValidator(_cron)]
Timezone = Annotated[
    str,
    Field(max_length=64),
    _matches(
        r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*",
        "must be a name of the IANA time zone database, like Europe/Berlin or UTC",
    ),
]

_T = TypeVar("_T")


def _unique_by(key: Callable[[_T], Hashable]) -> AfterValidator:
    """Refuse what the API server refuses of a list-map: two items of one key."""

    def check(items: list[_T]) -> list[_T]:
        counts = Counter(map(key, items))
        if twice := [repr(value) for value, count in counts.items() if count > 1]:
            raise ValueError(f"Duplicate value: {', '.join(twice)}")
        return items

    return AfterValidator(check)


def _let_others_in(value: _T) -> _T:
    """Return the same. Other threads have their turn in Python's code, which is not what validates 50,000 steps."""
    return value


class Part(BaseModel):
    """Base of all parts: camelCase in YAML, snake_case here. `parse` says what becomes of unknown fields."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class PartWithDefaults(Part):
    """Null stands for the default: the API server drops nulls before it puts defaults in."""

    @field_validator("*", mode="before")
    @classmethod
    def _default_for_null(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        return field.default if value is None and not field.is_required() else value


class AgentRef(Part):
    name: DnsLabel  # also the name of its Deployment and its Service, hence a label
    namespace: DnsLabel | None = None


class AiGatewayRef(Part):
    name: DnsLabel
    namespace: DnsLabel | None = None
    api_version: str | None = None  # ignored, like kind: earlier versions of this API had an ObjectReference here
    kind: str | None = None


class ToolCall(Part):
    name: Annotated[str, Field(min_length=1, max_length=256)]
    args: dict[str, JsonValue] | None = None


class Reference(Part):
    response: Annotated[str, Field(max_length=65536)] | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=100)] | None = None
    topics: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=100)] | None = None
    retrieved_contexts: Annotated[list[Annotated[str, Field(max_length=65536)]], Field(max_length=100)] | None = None


class Metric(Part):
    metric_name: Annotated[str, Field(min_length=1, max_length=256)]
    threshold: Threshold | None = None
    parameters: dict[str, JsonValue] | None = None


class ScenarioStep(Part):
    input: Annotated[str, Field(min_length=1, max_length=65536)]
    reference: Reference | None = None
    custom_values: dict[str, JsonValue] | None = None
    metrics: Annotated[list[Metric], Field(max_length=50)] | None = None


class Scenario(Part):
    name: Annotated[str, Field(min_length=1, max_length=256)]
    steps: Annotated[list[ScenarioStep], Field(min_length=1, max_length=100), AfterValidator(_let_others_in)]


Scenarios = Annotated[list[Scenario], Field(min_length=1, max_length=500), _unique_by(lambda s: s.name)]


class S3(Part):
    bucket: Annotated[str, Field(min_length=1, max_length=255), NoExpression]
    key: Annotated[str, Field(min_length=1, max_length=1024), NoExpression]


class InlineDataset(Part):
    llm_as_a_judge_model: Model | None = None
    default_threshold: Threshold | None = None
    scenarios: Scenarios


class Dataset(Part):
    s3: S3 | None = None
    url: Url | None = None
    inline: InlineDataset | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(source is not None for source in (self.s3, self.url, self.inline)) != 1:
            raise ValueError("exactly one of s3, url and inline must be set")
        return self


class KeySelector(Part):
    name: DnsName
    key: Annotated[str, Field(max_length=253), _matches("[-._a-zA-Z0-9]+", "must be letters, digits, '_', '-' and '.'")]
    optional: StrictBool | None = None


class FieldSelector(Part):
    api_version: str | None = None
    field_path: Annotated[str, Field(min_length=1, max_length=256)]


class EnvVarSource(Part):
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None
    field_ref: FieldSelector | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(s is not None for s in (self.config_map_key_ref, self.secret_key_ref, self.field_ref)) != 1:
            raise ValueError("exactly one of configMapKeyRef, secretKeyRef and fieldRef must be set")
        return self


class EnvVar(Part):
    name: Annotated[
        str,
        Field(max_length=256),
        _matches(
            "[-._a-zA-Z][-._a-zA-Z0-9]*",
            "must be letters, digits, '_', '-' and '.', and must not begin with a digit",
        ),
    ]
    value: Annotated[str, Field(max_length=32768), AfterValidator(_closed_expressions)] | None = None
    value_from: EnvVarSource | None = None

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError("value and valueFrom must not both be set")
        return self


class WaitForRollout(PartWithDefaults):
    enabled: StrictBool = True
    timeout_seconds: Annotated[int, Field(strict=True, ge=1, le=600), BeforeValidator(_whole)] = 120


class Trigger(PartWithDefaults):
    """`event` is any word: one that is no event of Testkube's stands for `modified`, as every word does upstream."""

    enabled: StrictBool = False
    event: Annotated[
        str,
        Field(max_length=63),
        _matches(
            "[A-Za-z]([-_A-Za-z0-9]*[A-Za-z0-9])?",
            "must be letters, digits, '-' and '_', beginning with a letter and ending with a letter or digit",
        ),
    ] = "modified"
    concurrency_policy: Literal["Allow", "Forbid", "Replace"] | None = None
    wait_for_rollout: WaitForRollout = WaitForRollout()


class Schedule(Part):
    cron: Cron
    timezone: Timezone | None = None


class Gate(PartWithDefaults):
    enabled: StrictBool = False
    max_failed_metrics: Annotated[int, Field(strict=True, ge=0, le=100_000), BeforeValidator(_whole)] = 0


class ExperimentSpec(PartWithDefaults):
    agent_ref: AgentRef
    ai_gateway_ref: AiGatewayRef | None = None
    scenarios: Scenarios | None = None
    dataset: Dataset | None = None
    llm_as_a_judge_model: Model | None = None
    default_threshold: Threshold = 0.9
    otlp_endpoint: Url | None = None
    env: Annotated[list[EnvVar], Field(max_length=100), _unique_by(lambda e: e.name)] | None = None
    trigger: Trigger | None = None
    schedule: Schedule | None = None
    gate: Gate | None = None
    suspend: StrictBool = False
    deletion_policy: Literal["Orphan", "Abort"] = "Abort"

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if self.scenarios is None and self.dataset is None:
            raise ValueError("one of scenarios and dataset must be set: it says what the agent is asked")
        if self.scenarios is not None and self.dataset is not None:
            raise ValueError("scenarios and dataset must not both be set")
        return self

    @property
    def inline(self) -> InlineDataset | None:
        """What is evaluated inline, from either generation of this API, or None where setup fetches a dataset."""
        if self.scenarios is not None:
            return InlineDataset.model_construct(scenarios=self.scenarios)  # they have been validated here
        return self.dataset.inline if self.dataset else None

    @property
    def judge_model(self) -> str | None:
        return (self.inline and self.inline.llm_as_a_judge_model) or self.llm_as_a_judge_model

    @property
    def wants_trigger(self) -> bool:
        return self.trigger is not None and self.trigger.enabled

    @property
    def wants_gate(self) -> bool:
        return self.gate is not None and self.gate.enabled

    @property
    def forbids_concurrency(self) -> bool:
        return self.trigger is not None and self.trigger.enabled and self.trigger.concurrency_policy == "Forbid"

    def variable(self, name: str) -> EnvVar | None:
        """Find the user's own environment variable of this name."""
        return next((variable for variable in self.env or () if variable.name == name), None)


class Condition(Part):
    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    observed_generation: int | None = None
    last_transition_time: str | None = None


class GeneratedResource(Part):
    """The earlier operator left out `api_version`, `uid`, and the namespace where it is the Experiment's own.

    By its uid an object is known again of which somebody has replaced everything that it says.
    """

    api_version: str = ""
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""


class LastReconciliation(Part):
    """The run that last changed something; `requested_at` is the newest requested-at annotation it has honoured."""

    workflow_id: str
    run_id: str
    time: str
    requested_at: str | None = None


class ExecutionMetrics(Part):
    total: int = 0
    passed: int = 0
    failed: int = 0
    errored: int = 0


class LastExecution(Part):
    """The newest execution by the time of its start: numbers may begin again. It has a `verdict` once it was judged."""

    execution_id: str | None = None
    execution_number: int | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    status: str | None = None
    started_by: str | None = None
    verdict: str | None = None
    metrics: ExecutionMetrics | None = None
    summary: str | None = None


class ExperimentStatus(Part):
    observed_generation: int | None = None
    # Half a million faults would take a lot of memory, and what is wrong here is written anew.
    conditions: Annotated[list[Condition], FailFast()] = []
    generated_resources: Annotated[list[GeneratedResource], FailFast()] = []
    agent_url: str | None = None
    last_reconciliation: LastReconciliation | None = None
    last_execution: LastExecution | None = None
    execute_at: str | None = None

    @field_validator("observed_generation")
    @classmethod
    def _none_yet(cls, value: int | None) -> int | None:
        """Read the CRD's default, -1, as None: nobody has looked at this object yet."""
        return None if value == -1 else value

    def condition(self, kind: str) -> Condition | None:
        return next((c for c in self.conditions if c.type == kind), None)


class Metadata(Part):
    """The metadata that reconciling needs. `generation` and `uid` are absent from a file that was never applied."""

    model_config = ConfigDict(extra="allow")

    name: DnsName
    namespace: DnsLabel = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    deletion_timestamp: str | None = None
    finalizers: list[str] = []
    annotations: dict[str, str] = {}
    # The rest of ObjectMeta, for `parse(strict=True)` to know.
    labels: Any = None
    generate_name: Any = None
    creation_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    owner_references: Any = None
    managed_fields: Any = None
    self_link: Any = None


class Experiment(Part):
    """An Experiment as the API server sends it. Raises `pydantic.ValidationError` for one that the CRD would refuse."""

    api_version: str = EXPERIMENT.api_version
    kind: str = EXPERIMENT.kind
    metadata: Metadata
    spec: ExperimentSpec
    status: ExperimentStatus = ExperimentStatus()


def parse_status(obj: Object) -> ExperimentStatus:
    """Read the status. Empty where it breaks the rules, as one from another version may: it is written anew."""
    try:
        return ExperimentStatus.model_validate(obj.get("status", {}))
    except ValidationError:
        return ExperimentStatus()


def parse(obj: Object, *, strict: bool = False) -> Experiment:
    """Read `obj` as an Experiment. Raises `pydantic.ValidationError`, which `sentences` puts into words.

    Unknown fields are ignored, as the API server prunes them; `strict` refuses them, as `kubectl apply` does.
    """
    return Experiment.model_validate(obj, extra="forbid" if strict else None, by_alias=True, by_name=False)


# Where pydantic speaks of Python.
_WORDS = {
    "missing": "is required",
    "extra_forbidden": "unknown field",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "recursion_depth_exceeded": "is nested too deeply",
}
_MAX_SENTENCES = 1000


def sentences(error: ValidationError) -> list[str]:
    """Put the error into lines of `field: what is wrong`, fields written as kubectl writes them."""
    if error.error_count() > _MAX_SENTENCES:  # there can be half a million of them, which would take seconds
        return [f"(root): breaks {error.error_count():,} rules, too many to name"]
    return [
        f"{_field_path(e['loc'])}: {_WORDS.get(e['type'], e['msg'].removeprefix('Value error, '))}"
        for e in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _field_path(loc: Iterable[str | int]) -> str:
    # Inside free-form values, pydantic puts the type before each step.
    known = takewhile(lambda part: part not in {"dict", "list"}, loc)
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in known)
    return path.removeprefix(".") or "(root)"
