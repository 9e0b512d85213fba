# Every target does its own set-up. `make` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test check ui relock shell setup lock-self format system-tools clean

BIN := .venv/bin
ENVIRONMENT ?= elt
PORT ?= 3000
export DAGSTER_HOME ?= $(CURDIR)/.dagster

# The Python to build for: the first of the policy that can be had here, or PYTHON=3.12.
PICK = PYTHON=$${PYTHON:-$$($(BIN)/elt-env pythons --pick $(ENVIRONMENT))} && [ -n "$$PYTHON" ]
# The command is in Dagster's support; that a newer spelling exists is no news for a user.
JOB = PYTHONWARNINGS=ignore:Function $(BIN)/dagster job execute -m elt_env.definitions --config elt_env/defs/console.yaml

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: setup ## lock, build and prove the environment through Dagster (PYTHON=3.12 for another)
	@$(PICK) && \
	$(JOB) -j $(ENVIRONMENT)_build --tags "{\"dagster/partition\": \"$$PYTHON\"}" && \
	echo && $(BIN)/elt-env show "$(ENVIRONMENT)@$$PYTHON" --next

relock: setup ## upgrade the lock within spec and policy, then build and prove it
	@$(PICK) && \
	$(JOB) -j $(ENVIRONMENT)_relock --tags "{\"dagster/partition\": \"$$PYTHON\"}" && \
	echo && $(BIN)/elt-env diff "$(ENVIRONMENT)@$$PYTHON"

shell: setup ## a shell in which the environment's tools come first
	@$(PICK) && $(BIN)/elt-env shell "$(ENVIRONMENT)@$$PYTHON"

ui: setup ## the web UI on http://127.0.0.1:3000 (PORT=8080 for another)
	$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(PORT)

test: setup ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: setup ## formatting, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup ## format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: .venv/.ready $(DAGSTER_HOME)/.ready

.venv/.ready: requirements.txt pyproject.toml bootstrap.py
	@python3 bootstrap.py

# Two processes that are the first to use an instance break its database: make it here, once.
$(DAGSTER_HOME)/.ready: dagster.yaml .venv/.ready
	@mkdir -p "$(DAGSTER_HOME)"
	@cp dagster.yaml "$(DAGSTER_HOME)/dagster.yaml"
	@$(BIN)/dagster instance info > /dev/null
	@touch "$@"

lock-self: .venv/.ready ## lock this project's own dependencies anew
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.10 \
	  --generate-hashes --no-header --no-annotate --upgrade --quiet --output-file requirements.txt

system-tools: ## what some tests use, with apt
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	  chromium fonts-dejavu-core gcc libc6-dev python3-venv mount

clean: ## remove what the targets made, but not the store
	rm -rf .venv .dagster .mypy_cache .pytest_cache .ruff_cache .hypothesis
