"""Settings of each command, from the environment and from flags: read once at the door, handed on as values.

The names in the environment are the flags' in capitals: `--testkube-namespace` is TESTKUBE_NAMESPACE. An empty one is
none, so that a kustomization can take back what another sets. How to reach Temporal is Temporal's own affair
(TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_TLS…, or its TOML profile).
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, CliPositionalArg, CliVariadicArg, NoDecode, SettingsConfigDict

from api.config import WEBHOOK, WEBHOOK_CONFIGURATION
from experiments.evaluation import Verdict
from experiments.executions import Starter
from experiments.models import LABEL, DnsLabel, DnsName, Url
from experiments.options import OWN_NAMESPACE, NeighbourCheck, Options, PhaseTemplates

_DEFAULT = Options()
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Command(BaseSettings):
    model_config = SettingsConfigDict(
        defer_build=True,  # of each process, one is used
        env_ignore_empty=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        extra="ignore",
    )

    @classmethod
    def word(cls) -> str:
        """Return the word by which the command is called; others see it as the User-Agent's role."""
        return cls.__name__.removesuffix("Command").lower()


def _namespace(value: str) -> str:
    if value != OWN_NAMESPACE and not re.fullmatch(LABEL, value):
        raise ValueError("must be the name of a namespace, or '.' for each Experiment's own")
    return value


def own_namespace() -> str:
    """Return that of the pod that this process runs in, or `default`."""
    with suppress(OSError):
        return _POD_NAMESPACE.read_text().strip()
    return "default"


class PlacementSettings(Command):
    testkube_namespace: Annotated[
        str,
        AfterValidator(_namespace),
        Field(description="where Testkube reads its objects; '.' is each Experiment's own"),
    ] = _DEFAULT.testkube_namespace


class GenerationSettings(PlacementSettings):
    """What an installation chooses about the generated objects."""

    experiment_file: Annotated[
        str, Field(pattern="^/", description="path at which the phases read experiment.json")
    ] = _DEFAULT.experiment_file
    setup_template: Annotated[
        DnsName, Field(description="TestWorkflowTemplate of the phase that fetches a dataset")
    ] = _DEFAULT.templates.setup
    run_template: Annotated[DnsName, Field(description="TestWorkflowTemplate of the phase that runs the scenarios")] = (
        _DEFAULT.templates.run
    )
    evaluate_template: Annotated[
        DnsName, Field(description="TestWorkflowTemplate of the phase that judges the answers")
    ] = _DEFAULT.templates.evaluate
    publish_template: Annotated[
        DnsName, Field(description="TestWorkflowTemplate of the phase that publishes metrics")
    ] = _DEFAULT.templates.publish
    visualize_template: Annotated[
        DnsName, Field(description="TestWorkflowTemplate of the phase that writes the report")
    ] = _DEFAULT.templates.visualize
    gate_template: Annotated[
        DnsName,
        Field(description="TestWorkflowTemplate of the phase that fails an execution with too many failed metrics"),
    ] = _DEFAULT.templates.gate

    @property
    def options(self) -> Options:
        templates = PhaseTemplates(
            setup=self.setup_template,
            run=self.run_template,
            evaluate=self.evaluate_template,
            publish=self.publish_template,
            visualize=self.visualize_template,
            gate=self.gate_template,
        )
        return Options(self.testkube_namespace, templates, self.experiment_file)


def _comma_separated(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Words: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)]
Paths: TypeAlias = Annotated[list[Path], NoDecode, BeforeValidator(_comma_separated)]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]


def _levels(value: Any) -> Any:
    """Read `kube=debug,watcher.queue=warning`."""
    pairs = {}
    for each in _comma_separated(value):
        module, _, level = each.partition("=")
        if level not in get_args(Level):
            raise ValueError(f"'{each}' must be a module with its level, debug, info, warning or error: kube=debug")
        pairs[module] = level
    return pairs


class ServiceSettings(Command):
    """What every long-running process needs."""

    kubeconfig: Annotated[
        Path | None, Field(description="kubeconfig file; else the pod's service account, else the user's own")
    ] = None
    log_level: Annotated[Level, Field(description="least level logged")] = "info"
    log_levels: Annotated[
        dict[str, Level],
        NoDecode,
        BeforeValidator(_levels),
        Field(description="levels of single modules, like kube=debug,watcher.queue=warning"),
    ] = {}
    log_format: Annotated[
        Literal["auto", "console", "json"], Field(description="auto is console on a terminal and json elsewhere")
    ] = "auto"
    metrics_host: Annotated[str, Field(description="address to listen on for /metrics, /healthz and /readyz")] = (
        "127.0.0.1"
    )
    metrics_port: Annotated[
        int, Field(ge=0, le=65535, description="port for /metrics, /healthz and /readyz; 0 is any free one")
    ] = 9464
    otel_exporter_otlp_endpoint: Annotated[
        HttpUrl | None,
        Field(description="URL of an OTLP receiver (HTTP, usually port 4318) for traces; without it there are none"),
    ] = None


class ReconcilingSettings(GenerationSettings, ServiceSettings):
    testkube_api_url: Annotated[
        HttpUrl | None,
        Field(
            description="URL of Testkube's API server; without it, executions are neither followed nor started here, "
            "and those of a deleted Experiment not stopped"
        ),
    ] = None
    temporal_task_queue: Annotated[str, Field(min_length=1, description="where workflows and workers meet")] = (
        "experiment-operator"
    )
    watch_all_namespaces: Annotated[
        bool,
        Field(description="look for generated objects in all namespaces: some are where TESTKUBE_NAMESPACE was before"),
    ] = False
    temporal_search_attributes: Annotated[
        bool, Field(description="Temporal's namespace has the search attributes of runs: use them in lists and filters")
    ] = False

    @property
    def testkube_to_ask(self) -> str:
        """The URL of the one Testkube that there is; empty where there is none, or one beside each Experiment.

        Testkube goes by name, and beside each Experiment names come again in every namespace.
        """
        has_one = self.testkube_api_url is not None and self.testkube_namespace != OWN_NAMESPACE
        return str(self.testkube_api_url) if has_one else ""

    @property
    def options(self) -> Options:
        return replace(
            super().options,
            aborts_executions=bool(self.testkube_to_ask),
            watches_all=self.watch_all_namespaces,
        )


class Watcher(ReconcilingSettings):
    """Watch the cluster and start a workflow for each Experiment that is not as it should be."""

    leader_elect: Annotated[
        bool, Field(description="several watchers run: the one that holds the Lease dispatches, the others stand by")
    ] = False
    lease_name: Annotated[DnsName, Field(description="Lease of the watchers")] = "experiment-operator-watcher"
    lease_namespace: Annotated[
        str, Field(pattern=f"^{LABEL}$", description="namespace of the Lease: the pod's own, or else 'default'")
    ] = Field(default_factory=own_namespace)


class Worker(ReconcilingSettings):
    """Run the workflows and their activities."""

    # Under these two names, Temporal's Worker Controller sets them by itself.
    temporal_deployment_name: Annotated[
        Annotated[str, Field(max_length=200, pattern=r"^[^.]+$")] | None,
        Field(description="Worker Deployment that this worker is a version of; without it, workers have no versions"),
    ] = None
    temporal_worker_build_id: Annotated[
        Annotated[str, Field(max_length=200)] | None,
        Field(validate_default=True, description="which version it is of --temporal-deployment-name"),
    ] = None
    workflow_sandbox: Annotated[
        bool, Field(description="run workflows in Temporal's sandbox: slower, and finds what is not deterministic")
    ] = False

    @field_validator("temporal_worker_build_id")
    @classmethod
    def _needs_both(cls, value: str | None, info: ValidationInfo) -> str | None:
        if (value is None) != (info.data.get("temporal_deployment_name") is None):
            raise ValueError("a version is both, --temporal-deployment-name and --temporal-worker-build-id")
        return value


def _origin(value: str) -> str:
    if not re.fullmatch(r"https?://[^/?#@\s*]+", value):
        raise ValueError("must be as a browser sends it, like https://dashboard.example.com: no path and no wildcard")
    return value


def _tls_dir(value: Path) -> Path:
    from api.http import tls  # noqa: PLC0415 - loads what logs, which most commands do not

    try:
        tls.load(value)
    except tls.TlsError as error:
        raise ValueError(str(error)) from error
    return value


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Api(ReconcilingSettings):
    """Serve Experiments and the history of their reconciliations over REST."""

    insecure: Annotated[bool, Field(description="allow --api-auth=none where other machines can reach the api")] = False
    api_host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    api_port: Annotated[int, Field(ge=0, le=65535, description="port to listen on")] = 8080
    api_auth: Annotated[
        Literal["kubernetes", "none"],
        Field(description="kubernetes: bearer tokens, and RBAC decides; none: everybody may do everything"),
    ] = "kubernetes"
    api_token_audiences: Annotated[
        Words, Field(description="whom tokens must be for, one of these, separated by commas; else for the API server")
    ] = ()
    api_tls_dir: Annotated[
        Annotated[Path, AfterValidator(_tls_dir)] | None,
        Field(description="directory with tls.crt and tls.key, which may change at any time; else plain HTTP"),
    ] = None
    api_cors_origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...],
        NoDecode,
        BeforeValidator(_comma_separated),
        Field(description="origins of web pages that may call the api from a browser, separated by commas"),
    ] = ()
    api_behind_proxy: Annotated[
        bool,
        Field(
            description="a proxy is the only way to the api: its X-Forwarded-Host is the host that people have asked"
        ),
    ] = False
    temporal_ui_url: Annotated[HttpUrl, Field(description="where people open the Temporal UI, for links")] = HttpUrl(
        "http://localhost:8233"
    )

    webhook: Annotated[bool, Field(description="serve the admission webhook as well, over TLS")] = False
    webhook_host: Annotated[str, Field(description="address on which the webhook listens")] = "127.0.0.1"
    webhook_port: Annotated[int, Field(ge=0, le=65535, description="port on which the webhook listens")] = 9443
    webhook_tls_dir: Annotated[
        Annotated[Path, AfterValidator(_tls_dir)] | None,
        Field(description="directory in which others, like cert-manager, keep tls.crt and tls.key; else an own one"),
    ] = None
    webhook_name: Annotated[DnsLabel, Field(description="name of the webhook's Service, Secret and Lease")] = WEBHOOK
    webhook_namespace: Annotated[
        str, Field(pattern=f"^{LABEL}$", description="namespace of the webhook's Service, Secret and Lease: the pod's")
    ] = Field(default_factory=own_namespace)
    webhook_configuration: Annotated[
        DnsName, Field(description="name of the ValidatingWebhookConfiguration of which the api fills in caBundle")
    ] = WEBHOOK_CONFIGURATION
    webhook_hosts: Annotated[
        Words,
        Field(description="names or addresses by which the API server calls the webhook; else its Service's name"),
    ] = ()
    neighbour_check: Annotated[
        NeighbourCheck,
        Field(description="what the webhook does where an Agent, AiGateway or template is missing, or a name is taken"),
    ] = "refuse"

    @field_validator("api_auth")
    @classmethod
    def _none_stays_on_this_machine(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("api_host", "")
        if value == "none" and not is_loopback(host) and not info.data.get("insecure"):
            raise ValueError(
                f"'none' would let everybody who reaches {host or 'this machine'} do everything: listen on 127.0.0.1, "
                "or say --insecure"
            )
        return value


class All(Watcher, Worker, Api):
    """Watcher, worker and api in one process, for a small cluster."""


class Render(GenerationSettings):
    """Print what would be applied for a file of Experiments, without any cluster.

    What it cannot ask a cluster, it assumes: an AiGateway exists and has the default port, the Agent is reached by its
    Service's name. No object has a uid yet, so children name no owner. Problems go to standard error, one line each.
    """

    files: CliPositionalArg[Annotated[Paths, Field(description="files with Experiments; - is standard input")]]
    agent_url: Annotated[Url | None, Field(description="URL of the agent, instead of its Service's name")] = None
    otlp_endpoint: Annotated[
        Url | None, Field(description="OTLP endpoint of Experiments that name none, instead of none")
    ] = None
    templates: CliVariadicArg[
        Annotated[Paths, Field(description="files with TestWorkflowTemplates, instead of those of deploy/testkube")]
    ] = []


class Asking(Command):
    """What every command needs that asks the api."""

    # Their names alone are too common in people's environments.
    model_config = SettingsConfigDict(
        env_prefix="EXPERIMENT_OPERATOR_", cli_shortcuts={"namespace": "n", "output": "o", "file": "f"}
    )

    namespace: Annotated[DnsLabel | None, Field(description="of the Experiment; else that of the kubeconfig")] = None
    output: Annotated[
        Literal["text", "wide", "json", "yaml"],
        Field(description="text is for people; wide is text, with more columns where it is a table"),
    ] = "text"
    server: Annotated[
        HttpUrl | None, Field(description="URL of the api; else it is reached through the API server's service proxy")
    ] = None
    service: Annotated[
        str,
        Field(pattern="^[^/]+/[^/]+$", description="namespace/name:port of the api's Service; https:name:port for TLS"),
    ] = "experiment-operator/experiment-operator-api:80"
    token: Annotated[SecretStr | None, Field(description="bearer token; else that of the kubeconfig")] = None
    kubeconfig: Annotated[Path | None, Field(description="kubeconfig file; else the user's own")] = None


class History(Asking):
    """Show what was done about an Experiment, and why; also about one that is gone."""

    name: CliPositionalArg[DnsName]
    limit: Annotated[int, Field(ge=1, le=200, description="how many runs at most")] = 20
    follow: Annotated[bool, Field(description="go on with each run that ends, until Ctrl-C")] = False


class PlanCommand(Asking):
    """Show what applying files of Experiments would change, and what would be wrong."""

    file: Annotated[Paths, Field(description="file with Experiments; - is standard input; may be given again")]
    markdown: Annotated[bool, Field(description="as Markdown, for a comment on a pull request")] = False


class Ui(Asking):
    """Open the page that shows Experiments and their executions, with the kubeconfig's credentials."""

    port: Annotated[int, Field(ge=0, le=65535, description="port on 127.0.0.1; 0 is any free one")] = 0
    browser: Annotated[bool, Field(description="open a browser there; --no-browser only prints where")] = True


class Why(Asking):
    """Explain an Experiment: conditions, recent reconciliations, the last verdict, pending changes."""

    name: CliPositionalArg[DnsName]


_DURATION = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")


def seconds(duration: str) -> int:
    """Read a duration like `90s`, `10m` or `1h30m`. Raises ValueError where it is none, or zero."""
    found = _DURATION.fullmatch(duration)
    hours, minutes, rest = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if not (total := hours * 3600 + minutes * 60 + rest):
        raise ValueError("must be a duration like 90s, 10m or 1h30m")
    return total


def _duration(value: str) -> str:
    seconds(value)
    return value


def _tags(value: Any) -> Any:
    """Read `commit=1a2b3c4,branch=main`."""
    pairs = {}
    for each in _comma_separated(value):
        key, equals, said = each.partition("=")
        if not (key and equals):
            raise ValueError(f"'{each}' must be a name with its value: commit=1a2b3c4")
        pairs[key] = said
    return pairs


def _replaceable(path: Path) -> Path:
    """Return where a file can be put, in one step, in the place of what may be there. Tries it."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is no file")
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}."):
            return path
    except OSError as error:
        raise ValueError(f"no file can be written in {path.parent}: {error.strerror}") from error


class Run(Asking):
    """Run an evaluation and, with --wait, end with its verdict: for pipelines.

    Exit codes: 0 it was started or, with --wait, has passed; 1 it was judged, and failed; 2 a flag is wrong, nothing
    has begun; 3 it could not be run, followed or judged; 4 it had no verdict in time, and goes on.
    """

    name: CliPositionalArg[DnsName]
    wait: Annotated[bool, Field(description="follow it to its end, and end with its verdict")] = False
    timeout: Annotated[
        str, AfterValidator(_duration), Field(description="how long all of it may take, like 90s, 10m or 1h30m")
    ] = "10m"
    junit: Annotated[
        Annotated[Path, AfterValidator(_replaceable)] | None,
        Field(description="file for the scores as JUnit XML, whatever came of it; needs --wait"),
    ] = None
    allow_failed: Annotated[
        int, Field(ge=0, description="how many metrics may fail, where none has an error; needs --wait")
    ] = 0
    reason: Annotated[
        str,
        Field(
            max_length=200,
            pattern=r"^[^\x00-\x1f\x7f-\x9f]*$",
            description="why, in one line, for those who read the history",
        ),
    ] = ""
    tag: Annotated[
        dict[str, str],
        NoDecode,
        BeforeValidator(_tags),
        Field(description="tags of the execution in Testkube, like commit=1a2b3c4; may be given again"),
    ] = {}

    @field_validator("junit", "allow_failed")
    @classmethod
    def _needs_wait(cls, value: Any, info: ValidationInfo) -> Any:
        if value and not info.data.get("wait"):
            raise ValueError("means nothing without --wait")
        return value


class Executions(Asking):
    """List an Experiment's evaluations with their verdicts."""

    name: CliPositionalArg[DnsName]
    limit: Annotated[int, Field(ge=1, le=200, description="how many at most")] = 20
    verdict: Annotated[Verdict | None, Field(description="only those that were judged so")] = None
    started_by: Annotated[Starter | None, Field(description="only those that this began")] = None


_WHICH = r"^[0-9]{1,9}$|^[A-Za-z0-9][A-Za-z0-9-]{9,62}$"


class Scores(Asking):
    """Show the metrics of an evaluation by scenario, or what has changed since another one."""

    name: CliPositionalArg[DnsName]
    execution: Annotated[
        Annotated[str, Field(pattern=_WHICH)] | None,
        Field(description="its number or ID; else the last that was judged"),
    ] = None
    base: Annotated[
        Annotated[str, Field(pattern=_WHICH)] | None, Field(description="number or ID of the one to compare it with")
    ] = None


class Doctor(Command):
    """Go through everything that must be right, from settings to certificates, and say what to do.

    It uses the settings of the processes: what they have in their environment, it needs in its own.
    """

    model_config = SettingsConfigDict(env_prefix="EXPERIMENT_OPERATOR_", cli_shortcuts={"output": "o"})

    role: Annotated[
        Literal["watcher", "worker", "api", "all"], Field(description="whose settings and permissions to check")
    ] = "all"
    output: Annotated[Literal["text", "json", "yaml"], Field(description="text is for people")] = "text"


class Migrate(PlacementSettings):
    """Take over what the earlier Go operator made, without a gap and without duplicates."""

    dry_run: Annotated[bool, Field(description="only say what would be done")] = False
    ignore_go_operator: Annotated[bool, Field(description="go on although the Go operator seems to run")] = False
    kubeconfig: Annotated[Path | None, Field(description="kubeconfig file; else the user's own")] = None


class Crd(Command):
    """Print the CustomResourceDefinition of Experiment."""


class Demo(Command):
    """Show the whole life of an Experiment on a cluster of its own, each step checked."""


class Dev(Command):
    """Run cluster and service on this machine, with a sample applied, until Ctrl-C."""


class Completion(Command):
    """Print what lets a shell complete commands, flags and Experiments' names on TAB."""

    model_config = SettingsConfigDict(env_prefix="EXPERIMENT_OPERATOR_")  # `SHELL` alone is everybody's

    shell: CliPositionalArg[Literal["bash", "zsh", "fish"]]
