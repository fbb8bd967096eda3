"""A kustomization can take back an address that another sets: by setting it to nothing."""

from __future__ import annotations

import pytest

from experiment_operator.cli import main
from experiment_operator.settings import Api, Watcher, Worker

URLS = ["testkube_api_url", "otel_exporter_otlp_endpoint"]


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("role", [Watcher, Worker, Api])
def test_a_url_is_taken_from_the_environment(monkeypatch, role, name):
    monkeypatch.delenv(name.upper(), raising=False)
    assert getattr(role(), name) is None
    monkeypatch.setenv(name.upper(), "http://testkube-api-server.testkube:8088/v1")
    assert str(getattr(role(), name)) == "http://testkube-api-server.testkube:8088/v1"
    monkeypatch.setenv(name.upper(), "")
    assert getattr(role(), name) is None


def test_what_is_no_url_is_refused_at_the_door(monkeypatch, capsys):
    monkeypatch.setenv("TESTKUBE_API_URL", "testkube-api-server:8088")
    assert main(["worker"]) == 2
    assert "--testkube-api-url (TESTKUBE_API_URL): " in capsys.readouterr().err
