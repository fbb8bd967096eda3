"""A flag that takes several values takes them in every form that people try; none is dropped in silence."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest

from experiment_operator import cli

VALUES = {
    "templates": (
        ["a.yaml", "b.yaml", "[c],{d}.yaml"],
        [Path("a.yaml"), Path("b.yaml"), Path("[c]"), Path("{d}.yaml")],
    ),
    "file": (["a.yaml", "b.yaml", "[c]", "-"], [Path("a.yaml"), Path("b.yaml"), Path("[c]"), Path("-")]),
    "api_token_audiences": (["a", "b"], ("a", "b")),
    "webhook_hosts": (["a", "b", "c"], ("a", "b", "c")),
    "api_cors_origins": (["https://a", "https://b"], ("https://a", "https://b")),
    "tag": (["commit=1a2b", "branch=main", "of=a=b"], {"commit": "1a2b", "branch": "main", "of": "a=b"}),
    "log_levels": (["kube=debug", "watcher=error"], {"kube": "debug", "watcher": "error"}),
}


def _takes_several(kind, field):
    annotation = kind.model_fields[field].annotation
    return typing.get_origin(annotation) in {list, tuple, set, dict}


LISTS = [
    (command, field)
    for command, (kind, _) in cli._COMMANDS.items()
    for field in kind.model_fields
    if _takes_several(kind, field) and field != "files"  # which are no flag
]


def test_every_such_flag_is_tried():
    assert {field for _, field in LISTS} == set(VALUES)


@pytest.mark.parametrize("form", ["--flag a --flag b", "--flag=a --flag=b", "--flag a,b"])
@pytest.mark.parametrize(("command", "field"), LISTS)
def test_all_values_of_a_repeated_flag_count(command, field, form):
    given, expected = VALUES[field]
    flag = f"--{field.replace('_', '-')}"
    arguments = {
        "--flag a --flag b": [part for value in given for part in (flag, value)],
        "--flag=a --flag=b": [f"{flag}={value}" for value in given],
        "--flag a,b": [flag, ",".join(given)],
    }[form]
    first = {"render": ["experiment.yaml"], "run": ["weather"]}.get(command, [])
    assert getattr(cli.read_settings(cli._COMMANDS[command][0], [*first, *arguments]), field) == expected


def test_templates_may_follow_each_other_as_well():
    chosen = cli.read_settings(cli._COMMANDS["render"][0], ["x.yaml", "--templates", "a", "b", "--templates", "c"])
    assert (chosen.files, chosen.templates) == ([Path("x.yaml")], [Path("a"), Path("b"), Path("c")])
