"""An empty variable is as good as none, for every setting of every command and for the libraries beneath.

So a kustomization can take back what another sets.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
import yaml
from pydantic_settings import CliApp

from experiment_operator import cli
from experiment_operator.settings import Api, Watcher, Worker
from kube.credentials import load_configuration, login

REQUIRED = {
    **{name: ["it"] for name in ("executions", "history", "run", "scores", "why")},
    "render": ["-"],
    "plan": ["--file=-"],
    "completion": ["bash"],
}
SETTINGS = [
    (command, field) for command, (kind, _) in cli._COMMANDS.items() for field in kind.model_fields
]  # with those that are only on the command line


def _variable(command, field):
    return f"{cli._COMMANDS[command][0].model_config.get('env_prefix', '')}{field}".upper()


@pytest.fixture
def nothing_set(monkeypatch):
    for command, field in SETTINGS:
        monkeypatch.delenv(_variable(command, field), raising=False)
    return monkeypatch


@cache
def _default(command):
    """To be called while nothing is set."""
    return _read(command)


def _read(command):
    return CliApp.run(cli._COMMANDS[command][0], cli_args=REQUIRED.get(command, []))


@pytest.mark.parametrize(("command", "field"), SETTINGS, ids=lambda each: each)
def test_each_setting_of_each_command(nothing_set, command, field):
    default = _default(command)
    nothing_set.setenv(_variable(command, field), "")
    assert _read(command) == default


@pytest.mark.parametrize("command", cli._COMMANDS)
def test_all_settings_at_once(nothing_set, command):
    default = _default(command)
    for field in cli._COMMANDS[command][0].model_fields:
        nothing_set.setenv(_variable(command, field), "")
    assert _read(command) == default


def test_the_walk_is_along_many_settings():
    assert len({_variable(*setting) for setting in SETTINGS}) > 50


@pytest.mark.parametrize("name", ["testkube_api_url", "otel_exporter_otlp_endpoint"])
@pytest.mark.parametrize("role", [Watcher, Worker, Api])
def test_a_url_is_taken_from_the_environment(nothing_set, role, name):
    nothing_set.setenv(name.upper(), "http://testkube-api-server.testkube:8088/v1")
    assert str(getattr(role(), name)) == "http://testkube-api-server.testkube:8088/v1"


def test_what_is_no_url_is_refused_at_the_door(monkeypatch, capsys):
    monkeypatch.setenv("TESTKUBE_API_URL", "testkube-api-server:8088")
    assert cli.main(["worker"]) == 2
    assert "--testkube-api-url (TESTKUBE_API_URL): " in capsys.readouterr().err


@pytest.fixture
def home(monkeypatch, tmp_path):
    """With a kubeconfig where kubectl keeps it."""
    content = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://cluster.example:6443"}}],
        "users": [{"name": "u", "user": {"token": "mine"}}],
    }
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


async def test_a_kubeconfig_that_is_not_named_is_that_of_the_home_directory(home, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "")
    assert (await load_configuration(None)).host == "https://cluster.example:6443"
    assert (await login(None)).token == "mine"
    monkeypatch.setenv("KUBECONFIG", f":{home}/nothing:{home}/.kube/config")
    assert (await login(None)).token == "mine"


def test_a_program_that_a_command_starts_sees_none(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("TEMPORAL_TLS", "")
    assert cli.main(["crd"]) == 0
    assert not [name for name, value in os.environ.items() if not value]


def test_the_compose_file_has_a_default_wherever_it_asks_for_a_variable():
    """`${NAME:-…}` is also that of an empty one; `${NAME-…}` and `${NAME}` are not."""
    text = (Path(__file__).parents[2] / "docker-compose.yml").read_text(encoding="utf-8")
    assert text.count("${") == text.replace("$${", "").count(":-") > 10
