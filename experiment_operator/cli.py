"""The commands `experiment-operator` and `kubectl experiment`: finds the subcommand, reads its settings, runs it.

Which of the two it is, it knows by the name of the file that was started: kubectl finds a plugin by that. The plugin
offers what a person with a kubeconfig asks the api.

Exit codes: 0 fine, 1 it did not work, 2 it was asked for wrongly, 141 nobody reads what it says (`__main__`). `run` has
more of them.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError
from pydantic_settings import CliApp, CliSettingsSource, SettingsError

from crds import experiment_crd
from experiment_operator import settings
from experiments.models import sentences
from kube.errors import KubeError
from proxies.environment import ProxyError
from telemetry.errors import ListenError
from telemetry.identity import version

S = TypeVar("S", bound=settings.Command)
Commands: TypeAlias = Mapping[str, tuple[type[settings.Command], Callable[..., int | None]]]


@dataclass(frozen=True, slots=True)
class Program:
    """`name` is what people type."""

    name: str
    commands: Commands


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns the exit code; argparse leaves by `SystemExit` for --help (0) and unknown flags (2)."""
    _forget_empty_variables()
    program = plugin() if Path(sys.argv[0]).name == "kubectl-experiment" else operator()
    name, *arguments = sys.argv[1:] if argv is None else argv or ["--help"]
    if name in {"-h", "--help"}:
        print(_usage(program))
        return 0
    if name == "--version":
        print(f"{program.name} {version()}")
        return 0
    if name not in program.commands:
        print(f"{program.name}: there is no command '{name}'\n\n{_usage(program)}", file=sys.stderr)
        return 2
    kind, run = program.commands[name]
    sys.argv[0] = f"{program.name} {name}"  # the name that argparse puts into its messages
    try:
        chosen = read_settings(kind, arguments)
    except (ValidationError, SettingsError) as error:
        lines = [_flag(line, kind) for line in sentences(error)] if isinstance(error, ValidationError) else [str(error)]
        print("\n".join(f"{program.name} {name}: {line}" for line in lines), file=sys.stderr)
        return 2
    try:
        return run(chosen) or 0
    except (KubeError, ListenError, ProxyError) as error:
        print(f"{program.name} {name}: {error}", file=sys.stderr)
        return 1


def read_settings(kind: type[S], arguments: list[str]) -> S:
    """Read what was chosen by flags, else in the environment. Raises ValidationError and SettingsError."""
    source: CliSettingsSource[Any] = CliSettingsSource(kind, add_argument_method=add_argument)
    return CliApp.run(kind, cli_args=arguments, cli_settings_source=source)


def add_argument(parser: ArgumentParser, *names: str, **options: Any) -> Any:
    """Add as argparse does, but of a flag that takes several values, and is there several times, all count."""
    if options.get("nargs") in {"*", "+"} and names[0].startswith("-"):
        options["action"] = "extend"
    return parser.add_argument(*names, **options)


def _forget_empty_variables() -> None:
    """Drop empty variables. Settings heed none, but to libraries an empty TEMPORAL_TLS says that there is TLS."""
    for name in [name for name, value in os.environ.items() if not value]:
        del os.environ[name]


def _flag(sentence: str, kind: type[settings.Command]) -> str:
    """Write `api_port: …` as people did, in the environment or as a flag."""
    field, _, problem = sentence.partition(": ")
    prefix = kind.model_config.get("env_prefix", "")
    return f"--{field.replace('_', '-')} ({prefix}{field.upper()}): {problem}"


def _late(where: str) -> Callable[..., int | None]:
    """Name a function whose module is imported when it is called: `render` needs neither Temporal nor a web server."""

    def run(chosen: settings.Command) -> Any:
        return resolve_name(f"experiment_operator.{where}")(chosen)

    return run


def _crd(_: settings.Crd) -> None:
    print(experiment_crd(), end="")


_serve = _late("process:serve")
_COMMANDS: Commands = {
    "watcher": (settings.Watcher, _serve),
    "worker": (settings.Worker, _serve),
    "api": (settings.Api, _serve),
    "all": (settings.All, _serve),
    "run": (settings.Run, _late("commands.run:run")),
    "executions": (settings.Executions, _late("commands.executions:executions")),
    "scores": (settings.Scores, _late("commands.scores:scores")),
    "history": (settings.History, _late("commands.history:history")),
    "plan": (settings.PlanCommand, _late("commands.plan:plan")),
    "why": (settings.Why, _late("commands.why:why")),
    "ui": (settings.Ui, _late("commands.ui:ui")),
    "render": (settings.Render, _late("commands.render:render")),
    "crd": (settings.Crd, _crd),
    "doctor": (settings.Doctor, _late("doctor.command:doctor")),
    "migrate-from-go-operator": (settings.Migrate, _late("commands.migrate:migrate")),
    "demo": (settings.Demo, _late("local.demo:demo")),
    "dev": (settings.Dev, _late("local.dev:dev")),
    "completion": (settings.Completion, _late("commands.completion:completion")),
}


def operator() -> Program:
    """Return `experiment-operator`, with all commands."""
    return Program("experiment-operator", _COMMANDS)


def plugin() -> Program:
    """Return `kubectl experiment`, with the commands that ask the api."""
    asking = {name: entry for name, entry in _COMMANDS.items() if issubclass(entry[0], settings.Asking)}
    return Program("kubectl experiment", asking)


def in_short(kind: type[settings.Command]) -> str:
    """Return what a command does, in one line."""
    return (kind.__doc__ or "").splitlines()[0]


def _usage(program: Program) -> str:
    width = max(map(len, program.commands))
    lines = "\n".join(f"  {name:<{width}}  {in_short(kind)}" for name, (kind, _) in program.commands.items())
    return (
        f"usage: {program.name} COMMAND [FLAGS]\n\n{lines}\n\n"
        f"{program.name} COMMAND --help tells its flags, {program.name} --version the version."
    )
