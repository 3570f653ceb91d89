# `make demo` and `make test` are all a fresh machine needs: Python 3.11, pip, make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml

.PHONY: help demo test check setup serve docs crash scale ceph soak fuzz bench clean

help: ## These words
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .demo/ready ## The main job on real data, on the embedded store
	@PATH="$(CURDIR)/.demo/venv/bin:$$PATH" bash demo/demo.sh

test: $(VENV)/ready ## All checks: style, types, tests
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal

check: $(VENV)/ready ## Style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

setup: $(VENV)/ready ## The development environment in .venv

serve: $(VENV)/ready ## A server on the embedded store
	@$(BIN)/storectl serve

docs: $(VENV)/ready ## Generate the command reference and the completion scripts
	@$(BIN)/python docs/generate.py

crash: $(VENV)/ready ## Servers and transfers killed, power cut, at many more points than `make test` has
	@KILL_POINTS=200 POWER_SEEDS=50 MODEL_TIMES=20 $(BIN)/python -m pytest tests/e2e/test_kill.py tests/engine/test_power.py tests/contract/test_models.py
	@SCALE_ROUNDS=20 $(BIN)/python -m pytest tests/e2e/test_scale.py
	@CRASH_POINTS=50 FAULT_SEEDS=20 $(BIN)/python -m pytest tests/transfer/test_crash.py tests/transfer/test_kvs_kill.py tests/cli/test_faults.py

scale: $(VENV)/ready ## Contracts, server and published clients on PostgreSQL and a bucket, all of them
	@STORE=postgres+s3 CI=true $(BIN)/python -m pytest tests/contract tests/server tests/e2e --numprocesses auto --dist worksteal

ceph: $(VENV)/ready ## Large records on Ceph's gateway; needs ceph-mon ceph-mgr ceph-osd radosgw of Debian
	@S3_SERVER=ceph CI=true $(BIN)/python -m pytest tests/engine/test_s3.py tests/contract/test_kvs_bucket.py tests/server/test_bucket.py

soak: $(VENV)/ready ## A server under mixed load for five minutes: memory, times, size; SOAK_SECS=3600
	@SOAK_SECS=$${SOAK_SECS:-300} $(BIN)/python -m pytest tests/e2e/test_soak.py --capture=no

fuzz: $(VENV)/ready ## Calls of every endpoint and inputs of every parser, by chance; FUZZ_EXAMPLES=1000 each
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-1000} $(BIN)/python -m pytest tests/server/test_openapi.py tests/test_parsers.py --numprocesses auto

bench: .bench/ready ## The table of measurements; ARGS=--quick for a smaller one
	@.bench/venv/bin/python benchmarks/run.py $(ARGS)

clean: ## Remove environments and results
	rm -rf $(VENV) .demo .bench demo-output .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(VENV)/ready: $(SOURCES)
	@echo "Setting up $(VENV) (a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,e2e]'
	@touch $@

.demo/ready: $(SOURCES)
	@echo "Setting up .demo/venv (half a minute)"
	@$(PYTHON) -m venv .demo/venv
	@.demo/venv/bin/python -m pip install --quiet --disable-pip-version-check --editable . 'vega_datasets>=0.9'
	@touch $@

# Where a peer has no wheel for this machine, its rows say so.
.bench/ready: $(SOURCES)
	@echo "Setting up .bench/venv with those it compares with (a minute or two)"
	@$(PYTHON) -m venv .bench/venv
	@.bench/venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' || \
	  { echo "Not all of them can be had here; going on without"; \
	    .bench/venv/bin/python -m pip install --quiet --disable-pip-version-check --editable .; }
	@npm install --silent --no-audit --no-fund --prefix .bench/node \
	    @apify/storage-local@2 @crawlee/memory-storage@3 || echo "Going on without those for Node"
	@touch $@
