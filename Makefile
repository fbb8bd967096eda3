# Everything runs in .venv, which these targets make and keep up to date, and what makes a release in .venv-release.
# Nothing is installed system-wide.

override PYTHON := $(or $(PYTHON),python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What only a release and the docs site need.
RELEASE := .venv-release
# Some machines say otherwise, and then each of the many processes that tests start compiles everything anew.
export PYTHONDONTWRITEBYTECODE :=

# Each process has a control plane of its own, and waits for it half of the time: a third one makes use of two cores.
PYTEST := $(BIN)/python -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo dev test test-unit lint format tools helm carry release bench docs-site docs-check phases-check lock clean

help: ## Show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: tools ## Watch an Experiment live: apply, repair, evaluations, deletion, history
	@$(BIN)/experiment-operator demo

dev: tools ## Run cluster and service on this machine until Ctrl-C
	@$(BIN)/experiment-operator dev

test: tools ## Run all tests on a real API server and a real Temporal server
	$(PYTEST) $(ARGS)

test-unit: $(READY) ## Run all tests that need no cluster, which takes less than a minute
	$(PYTEST) --ignore tests/phases -m "not cluster" $(ARGS)

lint: $(READY) ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

tools: $(READY) ## Get the local control plane: found, downloaded, or built once (about 8 minutes)
	@$(BIN)/python -m localcluster.prepare

helm: $(READY) ## Get helm: found, or built once (about 4 minutes), for the chart's tests and make release
	@$(BIN)/python -m release.helm

release: $(READY) $(RELEASE)/.ready ## Make what a release consists of in dist/, for REGISTRY=... DOWNLOADS=...; publish nothing
	@$(BIN)/python -m release

carry: $(READY) ## Carry version, CRD and alerts to where chart, kustomize and docs have them again
	@$(BIN)/python -m release.carry

bench: tools ## Measure beside a Go operator, print the tables of docs/performance.md (a plot: ARGS=--plot)
	$(BIN)/python -m benchmarks $(ARGS)

docs-site: $(RELEASE)/.ready ## Make a site of docs/ in site/, which asks nothing of any other address
	@NO_MKDOCS_2_WARNING=1 $(RELEASE)/bin/mkdocs build --strict --quiet

docs-check: tools ## Run each command of README.md and docs/, and check their links and tables
	$(BIN)/python -m pytest tests/docs $(ARGS)

phases-check: $(READY) ## Run what is generated with the published phases (Python 3.12 or newer; PHASES_PYTHON=...)
	@PHASES_PYTHON="$(PHASES_PYTHON)" $(BIN)/python tests/support/phases.py --numprocesses 2 $(ARGS)

lock: $(READY) ## Resolve pyproject.toml into the four lock files again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-annotate \
	  --group phases --output-file requirements-phases.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --group release --constraint requirements.lock --output-file requirements-release.lock

clean: ## Remove what these targets made here (the cache of built tools stays)
	rm -rf $(VENV) $(RELEASE) dist site .local .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	@echo "Setting up $(VENV) (about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(RELEASE)/.ready: requirements-release.lock $(READY)
	@$(BIN)/python -m venv --without-pip $(RELEASE)
	@$(BIN)/python -m pip --python $(RELEASE)/bin/python install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements-release.lock
	@touch $@
