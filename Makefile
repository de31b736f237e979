# One virtual environment, .venv, made from hashed locks, and made again only when a lock or pyproject.toml changes: first
# what the demo needs, then what the tests need.
PYTHON ?= python3
# Flags for the demo, e.g. `make demo ARGS=--help`, and for pytest, e.g. `make test ARGS="-k broker"`.
ARGS ?=
# For `make chaos`: how many faults, and the seed that lets the same ones happen again (none: a random one).
FAULTS ?= 20
SEED ?=

VENV := .venv
BIN := $(VENV)/bin
RELEASE := build/release
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What runs the product is there, and what develops it.
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed
UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo bench bench-quick bench-view bench-page bench-console chaos validate pictures test test-compiled lint format dashboards lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## make .venv from the lock (PYTHON=python3.12 chooses the interpreter)

$(RUNS): requirements.lock deploy/build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "error: Python 3.11 or newer is needed and '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true); try: make venv PYTHON=python3.12" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version): half a minute or more, 400 MB"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --require-hashes -r deploy/build.lock -r requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(STAMP): requirements-dev.lock $(RUNS)
	@echo "adding what tests and benchmarks need to $(VENV): a minute or more, 500 MB"
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(RUNS) ## run the whole system on this machine, with nothing else installed
	@$(BIN)/account-health demo $(ARGS)

bench: $(STAMP) ## measure everything against its peers on a Kafka of its own, most of an hour (needs Java and Maven)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(STAMP) ## measure the throughput of each contender once, under ten minutes
	@$(BIN)/python -m benchmarks --quick $(ARGS)

bench-view: $(STAMP) ## measure the Redis view and the API with a million accounts (needs redis-server too)
	@$(BIN)/python -m benchmarks --only view $(ARGS)

bench-page: $(STAMP) ## measure how soon an order is seen on the page of its account (needs redis-server and chromium too)
	@$(BIN)/python -m benchmarks --only page $(ARGS)

bench-console: $(STAMP) ## measure how long the console's list of 100,000 accounts takes at the server (needs the same)
	@$(BIN)/python -m benchmarks --only console $(ARGS)

pictures: $(STAMP) ## take the pictures of the console in docs/images again (needs what bench-page needs)
	@$(BIN)/python -m tests.browser $(ARGS)

chaos: $(STAMP) ## let FAULTS=20 faults happen to workers and a Kafka of their own, and prove that nothing is lost or repeated (SEED=7)
	@$(BIN)/python -m tests.chaos --faults $(FAULTS) $(if $(SEED),--seed $(SEED)) $(ARGS)

validate: $(STAMP) ## calibrate churn models on published histories and say how well they predict (needs ACCOUNT_HEALTH_DATA)
	@$(BIN)/python -m validation

test: $(STAMP) ## run every test, in two processes (ARGS="-n0 …": in one, and output is shown with -s)
	@$(BIN)/python -m pytest --numprocesses=2 --no-loadscope-reorder $(ARGS)

test-compiled: $(STAMP) ## compile the core (needs a C compiler) and run its tests on what came out
	@rm -rf $(RELEASE)
	@ACCOUNT_HEALTH_COMPILE=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --target $(RELEASE) .
	@cp pyproject.toml $(RELEASE) && ln -s $(CURDIR)/tests $(RELEASE)/tests
	@cd $(RELEASE) && $(CURDIR)/$(BIN)/python -c 'from processors import account; assert account.__file__.endswith(".so")'
	@cd $(RELEASE) && $(CURDIR)/$(BIN)/python -m pytest tests/core tests/engine/test_task.py $(ARGS)

lint: $(STAMP) ## check format, style, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## rewrite the sources in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

dashboards: $(STAMP) ## write Grafana's dashboards again from deploy/dashboards
	@$(BIN)/python -m deploy.dashboards deploy/grafana/dashboards

lock: ## resolve both locks again from pyproject.toml (needs uv)
	$(UV_COMPILE) --output-file requirements.lock pyproject.toml
	$(UV_COMPILE) --extra calibrate --group dev --output-file requirements-dev.lock pyproject.toml

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find models processors stream tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
