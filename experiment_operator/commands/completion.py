"""The command `completion`, and what kubectl asks when TAB is pressed behind `kubectl experiment`.

What there is to complete is read off the parsers of the commands. Only for names of Experiments anybody is asked: the
cluster, by kubectl, with the namespace that the line or the environment names.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import shtab
from pydantic_settings import CliSettingsSource

from experiment_operator import cli
from experiment_operator.settings import Command, Completion

# A script for sh, so that it is the same in each shell: $1 is the line. It must have no single quotes.
_NAMES = r"""kubectl get experiments.testbench.agentic-layer.ai --output=name --request-timeout=2s \
  ${EXPERIMENT_OPERATOR_NAMESPACE:+"--namespace=$EXPERIMENT_OPERATOR_NAMESPACE"} \
  $(printf "%s \n" "$1" | sed -nE "s/.* (-n|--namespace)[ =]*([a-z0-9-]+) .*/--namespace=\2/p") \
  2>/dev/null | sed "s|.*/||" """
_NAMES_IN = {
    "bash": f"""_experiment_names() {{
  compgen -W "$(sh -c '{_NAMES}' sh "$COMP_LINE")" -- "$1"
}}""",
    "zsh": f"""_experiment_names() {{
  compadd -- ${{(f)"$(sh -c '{_NAMES}' sh "${{words[*]}}")"}}
}}""",
    "fish": f"""function _experiment_names
  sh -c '{_NAMES}' sh (commandline -cp)
end""",
}
_NAME = {
    "bash": "_experiment_names",
    "zsh": "_experiment_names",
    "fish": "(_experiment_names)",
    "preamble": _NAMES_IN,
}
_NO_FILES, _FILES = ":4", ":0"
"""What kubectl does besides with an answer."""


def completion(chosen: Completion) -> None:
    """Print what a shell has to read to complete `experiment-operator`."""
    program = cli.operator()
    parser = ArgumentParser(program.name)
    parser.add_argument("--version", action="version")
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, (kind, _) in program.commands.items():
        _fill(commands.add_parser(name, help=cli.in_short(kind)), kind)
    print(shtab.complete(parser, shell=chosen.shell))


def _fill(parser: ArgumentParser, kind: type[Command]) -> ArgumentParser:
    """Add what a command takes, each with what completes its value."""
    CliSettingsSource(kind, root_parser=parser, add_argument_method=cli.add_argument)
    for action in parser._actions:
        if field := kind.model_fields.get(action.dest):
            _complete(action, field.annotation)
    return parser


def _complete(action: Any, annotation: Any) -> None:
    # Of `X | None`, or of list[X]; a dict's values stand behind a key.
    parts = [annotation, *(get_args(annotation) if get_origin(annotation) is not dict else ())]
    parts = [get_args(part)[0] if get_origin(part) is Annotated else part for part in parts]
    if choices := [value for part in parts if get_origin(part) is Literal for value in get_args(part)]:
        action.choices = choices
    elif Path in parts:
        action.complete = shtab.FILE
    elif action.dest == "name":
        action.complete = _NAME


def answer_kubectl() -> int:
    """Print what may stand in the place of the last argument, as kubectl wants it."""
    found, files = candidates(sys.argv[1:])
    print("\n".join([*found, _FILES if files else _NO_FILES]))
    return 0


def candidates(words: Sequence[str]) -> tuple[list[str], bool]:
    """Return what may stand in the place of the last word, and whether names of files may."""
    *before, last = words or [""]
    commands = cli.plugin().commands
    if not before:
        return [f"{name}\t{cli.in_short(kind)}" for name, (kind, _) in commands.items() if name.startswith(last)], False
    if before[0] not in commands:
        return [], False
    actions = _fill(ArgumentParser(), commands[before[0]][0])._actions
    flags: dict[str, Any] = {flag: action for action in actions for flag in action.option_strings}
    flag, equals, begun = last.rpartition("=") if last.startswith("--") else (before[-1], "", last)
    if (wanted := flags.get(flag or before[-1])) and wanted.nargs != 0:
        values = [f"{flag}=" * bool(equals) + value for value in wanted.choices or () if value.startswith(begun)]
        return values, hasattr(wanted, "complete")
    if last.startswith("-"):
        return [name for name in flags if name.startswith(last)], False
    takes_name = any(getattr(action, "complete", None) is _NAME for action in actions)
    return _names(words, last) if takes_name else [], False


def _names(words: Sequence[str], begun: str) -> list[str]:
    line = " ".join(["kubectl experiment", *words])
    done = subprocess.run(["sh", "-c", _NAMES, "sh", line], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S607
    return [name for name in done.stdout.split() if name.startswith(begun)]
