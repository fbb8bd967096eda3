"""What would let strangers in, or could not work, is refused by the command itself: a sentence, and exit code 2."""

from __future__ import annotations

import pytest

from experiment_operator.cli import main
from experiment_operator.settings import Api, Worker


@pytest.fixture
def refused(capsys):
    def run(*flags):
        assert main(["api", *flags]) == 2
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "api.example.com"])
@pytest.mark.parametrize("command", ["api", "all"])
def test_asking_nobody_who_they_are_is_for_this_machine_only(capsys, monkeypatch, command, host):
    monkeypatch.setenv("API_HOST", host)
    assert main([command, "--api-auth=none"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"experiment-operator {command}: --api-auth (API_AUTH): 'none' would let everybody")
    assert "--insecure" in said


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_this_machine_it_is_allowed(host):
    assert Api(api_host=host, api_auth="none").api_auth == "none"


def test_insecure_allows_it_anywhere():
    assert Api(api_host="0.0.0.0", api_auth="none", insecure=True).api_auth == "none"


def test_kubernetes_decides_wherever_it_listens():
    assert Api(api_host="0.0.0.0").api_auth == "kubernetes"


def test_a_certificate_is_looked_for_at_once(refused, secret):
    (secret.directory / "tls.key").unlink()
    said = refused(f"--api-tls-dir={secret.directory}")
    assert said == (
        f"experiment-operator api: --api-tls-dir (API_TLS_DIR): "
        f"cannot read {secret.directory}/tls.key: No such file or directory\n"
    )


@pytest.mark.parametrize("origin", ["*", "https://a.example/", "a.example", "https://*.example", "null"])
def test_an_origin_that_would_match_nothing_or_all_is_refused(refused, origin):
    assert "must be as a browser sends it" in refused(f"--api-cors-origins=https://b.example,{origin}")


def test_origins_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("API_CORS_ORIGINS", "https://a.example, http://localhost:3000")
    assert Api().api_cors_origins == ("https://a.example", "http://localhost:3000")
    monkeypatch.setenv("API_CORS_ORIGINS", "")
    assert Api().api_cors_origins == ()


@pytest.mark.parametrize("half", [{"temporal_deployment_name": "eo"}, {"temporal_worker_build_id": "0.1.0"}])
def test_a_version_of_a_worker_is_two_names(half):
    with pytest.raises(ValueError, match="a version is both"):
        Worker(**half)
    assert Worker(**{"temporal_deployment_name": "eo", "temporal_worker_build_id": "0.1.0"} | half)


def test_an_empty_name_is_none(monkeypatch):
    monkeypatch.setenv("TEMPORAL_DEPLOYMENT_NAME", "")
    monkeypatch.setenv("TEMPORAL_WORKER_BUILD_ID", "")
    assert Worker().temporal_deployment_name is None
