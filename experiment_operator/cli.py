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
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError
from pydantic_settings import CliApp, CliSettingsSource, SettingsError

from experiment_operator import settings
from experiments.models import sentences
from kube.errors import KubeError
from proxies.environment import ProxyError
from telemetry.identity import version
from telemetry.listener import ListenError

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


def _serve(chosen: settings.ServiceSettings) -> None:
    from experiment_operator.process import serve  # noqa: PLC0415 - `render` needs neither Temporal nor a web server

    serve(chosen)


def _render(chosen: settings.Render) -> int:
    from experiment_operator.commands.render import render  # noqa: PLC0415

    return render(chosen)


def _history(chosen: settings.History) -> int:
    from experiment_operator.commands.history import history  # noqa: PLC0415

    return history(chosen)


def _run(chosen: settings.Run) -> int:
    from experiment_operator.commands.run import run  # noqa: PLC0415

    return run(chosen)


def _executions(chosen: settings.Executions) -> int:
    from experiment_operator.commands.executions import executions  # noqa: PLC0415

    return executions(chosen)


def _scores(chosen: settings.Scores) -> int:
    from experiment_operator.commands.scores import scores  # noqa: PLC0415

    return scores(chosen)


def _plan(chosen: settings.PlanCommand) -> int:
    from experiment_operator.commands.plan import plan  # noqa: PLC0415

    return plan(chosen)


def _ui(chosen: settings.Ui) -> int:
    from experiment_operator.commands.ui import ui  # noqa: PLC0415

    return ui(chosen)


def _why(chosen: settings.Why) -> int:
    from experiment_operator.commands.why import why  # noqa: PLC0415

    return why(chosen)


def _doctor(chosen: settings.Doctor) -> int:
    from experiment_operator.doctor.command import doctor  # noqa: PLC0415

    return doctor(chosen)


def _migrate(chosen: settings.Migrate) -> int:
    from experiment_operator.commands.migrate import migrate  # noqa: PLC0415

    return migrate(chosen)


def _crd(_: settings.Crd) -> None:
    from crds import experiment_crd  # noqa: PLC0415

    print(experiment_crd(), end="")


def _demo(_: settings.Demo) -> int:
    from experiment_operator.local.demo import demo  # noqa: PLC0415

    return demo()


def _dev(_: settings.Dev) -> int:
    from experiment_operator.local.dev import dev  # noqa: PLC0415

    return dev()


def _completion(chosen: settings.Completion) -> None:
    from experiment_operator.commands.completion import script  # noqa: PLC0415

    print(script(chosen.shell))


_COMMANDS: Commands = {
    "watcher": (settings.Watcher, _serve),
    "worker": (settings.Worker, _serve),
    "api": (settings.Api, _serve),
    "all": (settings.All, _serve),
    "run": (settings.Run, _run),
    "executions": (settings.Executions, _executions),
    "scores": (settings.Scores, _scores),
    "history": (settings.History, _history),
    "plan": (settings.PlanCommand, _plan),
    "why": (settings.Why, _why),
    "ui": (settings.Ui, _ui),
    "render": (settings.Render, _render),
    "crd": (settings.Crd, _crd),
    "doctor": (settings.Doctor, _doctor),
    "migrate-from-go-operator": (settings.Migrate, _migrate),
    "demo": (settings.Demo, _demo),
    "dev": (settings.Dev, _dev),
    "completion": (settings.Completion, _completion),
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
    lines = [f"  {name:<{width}}  {in_short(kind)}" for name, (kind, _) in program.commands.items()]
    return "\n".join(
        [
            f"usage: {program.name} COMMAND [FLAGS]",
            "",
            *lines,
            "",
            f"{program.name} COMMAND --help tells its flags, {program.name} --version the version.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
