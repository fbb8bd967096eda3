"""Each command of README.md and docs/ is run, page by page, on the stack of `experiment-operator dev`.

Those that cannot be run there are listed with the reason, and with the test that runs them, where there is one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

_NO_PODS = "needs pods, and the local cluster has no nodes"
_DOCKER = "tests/compose runs docker-compose.yml on a real engine, with the same kubectl commands"
_HELM = "needs helm; tests/deploy renders what it says, and installs the chart"
_FOREVER = "does not end"
_DEV = "is what the test's stack is: `experiment-operator dev`"
_DEMO = "tests/demo runs what it runs"

NOT_RUN = {
    # By page and by what the block begins with.
    ("README.md", "make demo"): _DEMO,
    ("README.md", "helm upgrade"): _HELM,
    ("README.md", "export REGISTRY="): "needs an engine and a registry; tests/compose builds the image",
    ("docs/compose.md", "docker compose"): _DOCKER,
    ("docs/compose.md", "export COMPOSE_PROFILES=postgres"): "needs the public images; tried by hand, as the page says",
    ("docs/compose.md", "docker run"): _DOCKER,
    ("docs/compose.md", "make test"): "is a test run itself",
    ("docs/compose.md", "debootstrap"): "needs root and a Debian mirror; tried by hand, as the page says",
    ("docs/doctor.md", "kubectl exec"): _NO_PODS,
    ("docs/getting-started.md", "git clone"): "the repository's address is not known here",
    ("docs/getting-started.md", "make demo"): _DEMO,
    ("docs/getting-started.md", "make dev"): _DEV,
    ("docs/how-to.md", "kubectl testkube run"): "needs Testkube itself and its plugin of kubectl",
    ("docs/gitops.md", "kubectl apply --server-side --dry-run=server -f bundle.yaml"): (
        "tests/webhook has each of these answers"
    ),
    (
        "docs/gitops.md",
        "kubectl apply --server-side -k deploy/argocd",
    ): "needs Argo CD's namespace; tests/e2e applies it",
    ("docs/install.md", "python3 -m venv commands"): "needs a release; tests/deploy makes one",
    ("docs/install.md", "kubectl krew"): "needs krew and a release; tests/deploy unpacks what it does",
    ("docs/install.md", "docker build"): "needs an engine and a registry; tests/compose builds the image",
    ("docs/install.md", "helm upgrade"): _HELM,
    ("docs/install.md", "kubectl rollout status"): _NO_PODS,
    ("docs/install.md", "kubectl create secret generic temporal-cloud -n experiment-operator --from-file"): (
        "needs a client certificate, and makes the Secret that the command before has made"
    ),
    ("docs/metrics.md", "curl -s localhost:9464"): "`dev` takes a free port; tests/observability reads /metrics",
    ("docs/metrics.md", "kubectl apply -k deploy/monitoring"): "needs the Prometheus operator's CRDs",
    ("docs/metrics.md", "OTEL_EXPORTER_OTLP_ENDPOINT="): f"{_FOREVER}; tests/observability runs it",
    ("docs/metrics.md", "LOG_LEVELS="): f"{_FOREVER}; tests/observability runs it",
    ("docs/migration.md", ""): "tests/migrate/test_the_page_works_as_written.py runs them all",
    ("docs/operations.md", "temporal worker deployment"): "needs workers with versions; tests/workflow has them",
    ("docs/page.md", "experiment-operator ui"): f"{_FOREVER}; tests/pages runs it",
    ("docs/rest.md", "curl -s -N $API/api/v1/events"): f"{_FOREVER}; tests/rest reads streams",
    ("docs/rest.md", "curl -s $API/api/v1/namespaces/default/experiments/weather/reconciliations/"): (
        "names a run that was; tests/rest shows the steps of one"
    ),
    ("docs/rest.md", "curl -s $API/api/v1/namespaces/default/experiments/weather/executions/6b"): (
        "names an execution that was; tests/executions shows one, and what it left"
    ),
    ("docs/rest.md", "curl -s -X POST $API/api/v1/namespaces/default/experiments/weather/executions/6b"): (
        "names an execution that was; tests/executions aborts one"
    ),
    ("docs/rest.md", 'curl -s -i "$API/api/v1/namespaces/default/experiments/weather/reconciliations?limit=500'): (
        "is refused, as the page shows; tests/rest has refusals"
    ),
    ("docs/runbooks.md", "kubectl kustomize deploy/monitoring"): "needs the Prometheus operator's CRDs",
    ("docs/runbooks.md", "kubectl -n experiment-operator get pods"): _NO_PODS,
    ("docs/webhook.md", "kubectl apply -f weather.yaml"): "tests/webhook has each of these answers",
}
# What a reader of the page has done before, where the page begins later than getting-started does.
_STACK = """
set -a; . .local/env; set +a
export PATH="$PWD/.venv/bin:$PATH" EXPERIMENT_OPERATOR_SERVER=$API_URL
"""
_AT_HOME = f"{_STACK} kubectl config set-context --current --namespace=sample-agents"
BEFORE = {
    "README.md": f"{_AT_HOME}; export REGISTRY=registry.example.com/platform",
    "docs/conditions.md": f"{_AT_HOME}; experiment-operator run weather --wait",
    "docs/evaluations.md": _AT_HOME,
    "docs/getting-started.md": "",
    "docs/operations.md": f"{_STACK} kubectl apply -k deploy/base",
    "docs/rest.md": f"""{_STACK} API=$API_URL
        kubectl config set-context --current --namespace=default
        kubectl apply -f deploy/samples/agent.yaml
        kubectl apply -f deploy/samples/experiment-scenarios.yaml
        kubectl wait --for=condition=Ready exp/weather --timeout=60s""",
}
# They take down what others need: it is put up again, and two that take away the stack's own webhook come last.
AFTER = {
    "docs/getting-started.md": """
        kubectl apply -n sample-agents -f deploy/samples/experiment-scenarios.yaml
        kubectl wait -n sample-agents --for=condition=Ready exp/weather --timeout=60s""",
    "docs/install.md": "kubectl apply -f crds && kubectl wait --for=condition=Established -f crds",
}
LAST = ["README.md", "docs/install.md"]
_ROOT = Path(__file__).parents[2]
PAGES = [*sorted({f"docs/{page.name}" for page in (_ROOT / "docs").glob("*.md")} - set(LAST)), *LAST]


@pytest.fixture
def commands(blocks):
    return [block for block in blocks if block.language in {"sh", "console", "bash", "shell"}]


def excuse(block):
    return next((key for key in NOT_RUN if key[0] == block.page and block.text.startswith(key[1])), None)


def test_each_excuse_is_still_for_something(commands):
    assert set(NOT_RUN) == {excuse(block) for block in commands} - {None}


@pytest.mark.parametrize("page", PAGES)
async def test_the_page_works_word_by_word(commands, desk, page):
    script = [BEFORE.get(page, _STACK)]
    for block in commands:
        if block.page == page and not excuse(block):
            wanted = f"if (\n{block.text}\n); then echo 'it should have failed'; exit 1; fi"
            script += [f"echo '### {block}'", wanted if block.how == "fails" else block.text]
    code, said = await desk.run("\n".join(script))
    restored, how = await desk.run(f"{_STACK} {AFTER.get(page, '')}")
    assert code == 0, said[-3000:]
    assert restored == 0, how
