"""The chart, by the real helm: what it renders is what kustomize builds, and a real API server takes and keeps it."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
import yaml

from experiment_operator import settings
from release import carry, helm
from support.clusters import DEPLOY, ROOT
from support.pages import blocks_of

pytestmark = pytest.mark.skipif(not helm.find(), reason=helm.MISSING)
CHART = DEPLOY / "chart"
RELEASE = "experiment-operator"
# Of the release, and kustomize's own label, which the overlays' additions lack.
_LABELS = re.compile(r"helm\.sh/chart|app\.kubernetes\.io/(instance|managed-by|part-of|version)")
# The row of the table, and what kustomize builds.
SAME = {
    "deploy/base": ["base"],
    "deploy/overlays/single": ["overlays/single"],
    "deploy/overlays/ha": ["overlays/ha"],
    "deploy/overlays/temporal-cloud": ["overlays/temporal-cloud"],
    "deploy/components/all-namespaces": ["base", "components/all-namespaces"],
    "deploy/overlays/ha, deploy/components/all-namespaces": ["overlays/ha", "components/all-namespaces"],
}


def table():
    """`{"deploy/overlays/single": "single=true"}`, as docs/install.md says it."""
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    _, _, section = text.partition("\n## With Helm\n")
    rows = re.findall(r"^\| (`deploy/\S+`) \| `?(.*?)`? \|$", section, re.MULTILINE)
    return {name.strip("`"): values for name, values in rows}


def values(name):
    return [argument for each in name.split(", ") if table()[each] for argument in ("--set", table()[each])]


@pytest.fixture
def run(tmp_path):
    """`run("lint", …)`: what it prints; fails with what it says."""

    def call(*arguments, kubeconfig="/nowhere", check=True):
        environ = {**os.environ, "HELM_CACHE_HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig)}
        done = subprocess.run(
            [helm.find(), *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout if check else done.stderr

    return call


@pytest.fixture
def rendered(run):
    def render(*arguments, release=RELEASE, namespace=RELEASE):
        said = run("template", release, str(CHART), "--include-crds", "--namespace", namespace, *arguments)
        return [obj for obj in yaml.load_all(said, yaml.CSafeLoader) if obj]

    return render


def plain(obj):
    """Without what says how it came there: labels of the release, the checksum or hash of the settings."""
    if isinstance(obj, list):
        return [plain(each) for each in obj]
    if not isinstance(obj, dict):
        return re.sub("(-settings)-[0-9a-z]{10}$", r"\1", obj) if isinstance(obj, str) else obj
    kept = {
        key: plain(value) for key, value in obj.items() if not _LABELS.fullmatch(key) and key != "checksum/settings"
    }
    return {key: value for key, value in kept.items() if not (key == "labels" and value == {})}


def by_name(objects):
    """A Namespace is helm's `--create-namespace`."""
    found = [plain(obj) for obj in objects if obj["kind"] != "Namespace"]
    for obj in found:
        for subject in obj.get("subjects", ()):
            subject.pop("apiGroup", None)
    return {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]): o for o in found}


@pytest.mark.parametrize("name", SAME)
def test_it_renders_what_kustomize_builds(rendered, built, name):
    assert by_name(rendered(*values(name))) == by_name(built(*SAME[name]))


def test_it_renders_the_monitoring_that_kustomize_builds(rendered, built):
    without = by_name(rendered())
    added = {key: obj for key, obj in by_name(rendered(*values("deploy/monitoring"))).items() if key not in without}
    assert added == by_name(built("monitoring"))


@pytest.mark.parametrize("name", ["deploy/overlays/single", "deploy/overlays/ha"])
def test_it_follows_release_and_namespace_as_kustomize_does(rendered, built, name):
    moved = rendered(*values(name), release="team", namespace="platform")
    assert by_name(moved) == by_name(built(*SAME[name], namespace="platform", namePrefix="team-"))


def test_it_follows_testkubes_namespace(rendered):
    roles = {
        o["metadata"]["namespace"]
        for o in rendered("--set", "settings.TESTKUBE_NAMESPACE=evaluations")
        if "Role" in o["kind"] and "namespace" in o["metadata"]
    }
    assert roles == {RELEASE, "evaluations"}
    beside = by_name(rendered("--set", "settings.TESTKUBE_NAMESPACE=."))
    everywhere = by_name(rendered(*values("deploy/components/all-namespaces")))
    assert beside.keys() == everywhere.keys()
    assert all(beside[key] == everywhere[key] for key in beside if key[0] != "ConfigMap")


def test_certificates_are_mounted_where_the_settings_say(rendered):
    objects = rendered("--set", "api.tlsSecret=front,webhook.enabled=true,webhook.tlsSecret=cert-manager")
    api = next(o for o in objects if o["kind"] == "Deployment" and o["metadata"]["name"].endswith("-api"))
    pod = api["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    secrets = {volume["name"]: volume.get("secret", {}).get("secretName") for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: secrets[mount["name"]] for mount in container["volumeMounts"]}
    assert (mounts[env["API_TLS_DIR"]], mounts[env["WEBHOOK_TLS_DIR"]]) == ("front", "cert-manager")
    assert {name.lower() for name in env} <= set(settings.All.model_fields)
    assert not any("secrets" in rule["resources"] for o in objects for rule in o.get("rules", ()))


def test_alerts_lead_to_the_docs(rendered):
    page = "https://docs.example.com/runbooks.html"
    objects = rendered("--set", f"monitoring.enabled=true,monitoring.runbooks={page}")
    (rules,) = (obj["spec"]["groups"] for obj in objects if obj["kind"] == "PrometheusRule")
    leads = [rule["annotations"]["runbook_url"] for group in rules for rule in group["rules"]]
    assert f"{page}#experimentoperatordown" in leads
    assert all(each.startswith(f"{page}#") for each in leads)


@pytest.mark.parametrize(("page", "name"), [("README.md", "overlays/ha"), ("docs/install.md", "base")])
def test_the_commands_of_the_pages_say_what_they_should(built, tmp_path, page, name):
    """As they stand there, but for what is done with it."""
    (block,) = (block for block in blocks_of(ROOT / page) if block.text.startswith("helm upgrade --install "))
    (tmp_path / "helm").symlink_to(helm.find())
    environ = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "REGISTRY": "registry.example.com/platform",
    }
    command = ["bash", "-ec", block.text.replace("upgrade --install", "template --include-crds")]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    image = f"image: registry.example.com/platform/experiment-operator:{carry.version()}"
    assert image in done.stdout
    plainly = done.stdout.replace("registry.example.com/platform/", "").replace(
        'TEMPORAL_NAMESPACE: "experiments"', "TEMPORAL_NAMESPACE: default"
    )
    assert by_name([obj for obj in yaml.load_all(plainly, yaml.CSafeLoader) if obj]) == by_name(built(name))


@pytest.mark.parametrize("name", table())
def test_lint_finds_nothing(run, name):
    run("lint", "--strict", str(CHART), *values(name))


@pytest.mark.parametrize(
    ("value", "about"),
    [
        ("replicas=2", "replicas"),
        ("api.replicas=two", "/api/replicas"),
        ("webhook.failurePolicy=Never", "/webhook/failurePolicy"),
        ("settings.TESTKUBE_NAMESPACE=a_b", "/settings/TESTKUBE_NAMESPACE"),
    ],
)
def test_a_value_that_cannot_be_right_is_refused_by_name(run, value, about):
    assert about in run("template", RELEASE, str(CHART), "--set", value, check=False)


@pytest.mark.parametrize("name", SAME)
async def test_the_api_server_takes_it(cluster, rendered, name):
    await cluster.kubectl("apply", "-k", str(DEPLOY / "base"))
    objects = rendered(*values(name))
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    options = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    answer = await cluster.kubectl("apply", *options, "-f", "-", stdin=everything)
    assert len(answer.splitlines()) == len(objects)


async def test_an_installation_by_kustomize_becomes_a_release(cluster, run, built):
    """As it is said in docs/install.md; what is immutable is the same."""
    objects = [o for o in built("base", namespace="was", namePrefix="was-") if o["kind"] != "CustomResourceDefinition"]
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    await cluster.kubectl("apply", "-f", "-", stdin=everything)
    of = ("was", str(CHART), "--namespace", "was")
    run("upgrade", "--install", "--take-ownership", "--force-conflicts", *of, kubeconfig=cluster.kubeconfig)
    owner = "jsonpath={.metadata.labels.app\\.kubernetes\\.io/managed-by}"
    worker = ("get", "deployment", "was-experiment-operator-worker", "-n", "was")
    assert await cluster.kubectl(*worker, "-o", owner) == "Helm"
    await cluster.kubectl("delete", "-f", "-", stdin=everything)


async def test_a_release_is_installed_upgraded_and_removed(cluster, run, tmp_path):
    """From the archive. Other names, so that it does not meet what else is installed here."""
    run("package", str(CHART), "--destination", str(tmp_path))
    (archive,) = tmp_path.glob("experiment-operator-*.tgz")
    of = ("team", str(archive), "--namespace", "chart")
    run("install", *of, "--create-namespace", *values("deploy/overlays/ha"), kubeconfig=cluster.kubeconfig)
    deployments = ("get", "deployment", "-n", "chart", "-o", "name")
    assert len((await cluster.kubectl(*deployments)).split()) == 3
    bundle = '[{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "LS0t"}]'
    configuration = ("validatingwebhookconfiguration", "team-experiment-operator")
    # As the api does, whose manager is another.
    await cluster.kubectl("patch", *configuration, "--type=json", "--field-manager=experiment-operator", "-p", bundle)
    changed = ("--set", "settings.LOG_LEVEL=debug")
    run("upgrade", *of, *values("deploy/overlays/ha"), *changed, kubeconfig=cluster.kubeconfig)
    path = "jsonpath={.data.LOG_LEVEL}"
    assert (
        await cluster.kubectl("get", "configmap", "team-experiment-operator-settings", "-n", "chart", "-o", path)
        == "debug"
    )
    kept = "jsonpath={.webhooks[0].clientConfig.caBundle}"
    assert await cluster.kubectl("get", *configuration, "-o", kept) == "LS0t"
    run("uninstall", "team", "--namespace", "chart", kubeconfig=cluster.kubeconfig)
    assert (await cluster.kubectl(*deployments)).split() == []
    # What is in crds/, helm leaves there, and so every Experiment.
    assert await cluster.kubectl("get", "crd", "experiments.testbench.agentic-layer.ai", "-o", "name")
