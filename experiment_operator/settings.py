"""Settings of each command, from the environment and from flags: read once at the door, handed on as values.

The names in the environment are the flags' in capitals: `--testkube-namespace` is TESTKUBE_NAMESPACE. How to reach
Temporal is Temporal's own affair (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_TLS…, or its TOML profile).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, HttpUrl
from pydantic_settings import BaseSettings, CliPositionalArg, CliVariadicArg, SettingsConfigDict

from experiments.models import LABEL, DnsName, Url
from experiments.options import OWN_NAMESPACE, Options, PhaseTemplates

_DEFAULT = Options()


class Command(BaseSettings):
    model_config = SettingsConfigDict(
        cli_kebab_case=True, cli_implicit_flags=True, cli_hide_none_type=True, cli_avoid_json=True, extra="ignore"
    )


def _namespace(value: str) -> str:
    if value != OWN_NAMESPACE and not re.fullmatch(LABEL, value):
        raise ValueError("must be the name of a namespace, or '.' for each Experiment's own")
    return value


class GenerationSettings(Command):
    """What an installation chooses about the generated objects."""

    testkube_namespace: Annotated[
        str,
        AfterValidator(_namespace),
        Field(description="where Testkube reads its objects; '.' is each Experiment's own"),
    ] = _DEFAULT.testkube_namespace
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

    @property
    def options(self) -> Options:
        templates = PhaseTemplates(
            setup=self.setup_template,
            run=self.run_template,
            evaluate=self.evaluate_template,
            publish=self.publish_template,
            visualize=self.visualize_template,
        )
        return Options(self.testkube_namespace, templates, self.experiment_file)


class ServiceSettings(Command):
    """What every long-running process needs."""

    kubeconfig: Annotated[
        Path | None, Field(description="kubeconfig file; else the pod's service account, else the user's own")
    ] = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="least level logged")] = "info"
    log_format: Annotated[
        Literal["auto", "console", "json"], Field(description="auto is console on a terminal and json elsewhere")
    ] = "auto"


class ReconcilingSettings(GenerationSettings, ServiceSettings):
    temporal_task_queue: Annotated[str, Field(min_length=1, description="where workflows and workers meet")] = (
        "experiment-operator"
    )


class Watcher(ReconcilingSettings):
    """Watch the cluster and start a workflow for each Experiment that is not as it should be."""


class Worker(ReconcilingSettings):
    """Run the workflows and their activities."""

    workflow_sandbox: Annotated[
        bool, Field(description="run workflows in Temporal's sandbox: slower, and finds what is not deterministic")
    ] = False


class Api(ReconcilingSettings):
    """Serve Experiments and the history of their reconciliations over REST."""

    api_host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    api_port: Annotated[int, Field(ge=0, le=65535, description="port to listen on")] = 8080
    api_auth: Annotated[
        Literal["kubernetes", "none"],
        Field(description="kubernetes: bearer tokens, and RBAC decides; none: everybody may do everything"),
    ] = "kubernetes"
    temporal_ui_url: Annotated[HttpUrl, Field(description="where people open the Temporal UI, for links")] = HttpUrl(
        "http://localhost:8233"
    )


class All(Watcher, Worker, Api):
    """Watcher, worker and api in one process, for a small cluster."""


class Render(GenerationSettings):
    """Print what would be applied for a file of Experiments, without any cluster.

    What it cannot ask a cluster, it assumes: an AiGateway exists and has the default port, the Agent is reached by its
    Service's name. No object has a uid yet, so children name no owner. Problems go to standard error, one line each.
    """

    files: CliPositionalArg[Annotated[list[Path], Field(description="files with Experiments; - is standard input")]]
    agent_url: Annotated[Url | None, Field(description="URL of the agent, instead of its Service's name")] = None
    otlp_endpoint: Annotated[
        Url | None, Field(description="OTLP endpoint of Experiments that name none, instead of none")
    ] = None
    templates: CliVariadicArg[
        Annotated[
            list[Path], Field(description="files with TestWorkflowTemplates, instead of those of deploy/testkube")
        ]
    ] = []


class Crd(Command):
    """Print the CustomResourceDefinition of Experiment."""


class Demo(Command):
    """Show the whole life of an Experiment on a cluster of its own, each step checked."""


class Dev(Command):
    """Run cluster and service on this machine, with a sample applied, until Ctrl-C."""
