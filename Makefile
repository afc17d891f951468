# Everything a newcomer types. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 3000
# Four on two cores: some tests wait for other processes. In the order of the folders: their files,
# which hold few tests, would come last otherwise.
SIDE_BY_SIDE := -n 4 --dist loadfile --no-loadscope-reorder
# Where an older library shows first: types, frames, files, rules, databases. LOWEST=tests is all.
LOWEST ?= tests/tables tests/quality tests/logic tests/project tests/privacy tests/destinations

export DAGSTER_HOME := $(CURDIR)/.dagster_home
export DAGSTER_DISABLE_TELEMETRY := 1
export PYTHONUNBUFFERED := 1
# Python compiles what is imported, when it is: half the time that pip would take for all of it.
PIP_INSTALL := pip install --quiet --no-compile
# Hundreds of processes are started by the tests; without it each would compile the project anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo ui test check test-lowest format bench study clean
CHECKS := check-types check-style check-rooms check-definitions check-papers
.PHONY: $(CHECKS)

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.installed ## run the whole example pipeline against our own REDCap, and say what was made
	$(BIN)/python -m example_pipeline.demo

ui: $(VENV)/.installed ## open Dagster's page on the same study: http://127.0.0.1:3000 (PORT=… for another)
	@$(BIN)/python -c "from example_pipeline import demo; demo.prepare_dagster_home(demo.Path('$(DAGSTER_HOME)'))"
	@# Dagster would first advise `dg dev`, which is for projects of another shape.
	PYTHONWARNINGS='ignore:Function `dev_command` is superseded' $(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(PORT)

test: $(VENV)/.installed-dev ## run every test (ARGS="-k words" chooses)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

check: $(VENV)/.installed-dev ## style, types, the map of rooms, definitions, generated docs
	@# Two at a time: types alone take as long as the rest.
	@$(MAKE) --no-print-directory --jobs=2 --output-sync $(CHECKS)

$(CHECKS): $(VENV)/.installed-dev
check-types: ; $(BIN)/mypy
check-style: ; $(BIN)/ruff check . && $(BIN)/ruff format --check .
check-rooms: ; $(BIN)/lint-imports
check-definitions: ; $(BIN)/dagster definitions validate -w workspace.yaml
check-papers: ; $(BIN)/python -m pytest -q tests/test_docs.py tests/emulator/test_coverage_page.py

test-lowest: .venv-lowest/.installed-lowest ## tests of tables and rules with pandas 2.2 and the oldest libraries (LOWEST=tests: all)
	.venv-lowest/bin/python -m pytest $(SIDE_BY_SIDE) $(LOWEST) $(ARGS)

format: $(VENV)/.installed-dev ## put the code into its one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## run every benchmark and print its figures
	@set -e; for file in benchmarks/[a-z]*.py; do echo "── $$file"; \
		$(BIN)/python -m benchmarks.$$(basename $$file .py); done

study: $(VENV)/.installed ## make the sample study and its snapshot again, from their seed
	$(BIN)/python -m example_pipeline.study.generate
	$(BIN)/python -m example_pipeline.study.snapshot

clean: ## remove environments, runs and tables that these commands made
	rm -rf .venv .venv-lowest .dagster_home data build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m $(PIP_INSTALL) --editable '.[example]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	@# With what is there already: Dagster's packages must be of one release, and appear one by one.
	$(BIN)/python -m $(PIP_INSTALL) --editable '.[example]' --group dev
	@touch $@

.venv-lowest/.installed-lowest: pyproject.toml tests/lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-lowest/bin/python -m $(PIP_INSTALL) --editable '.[example]' --group dev --constraint tests/lowest.txt
	@touch $@
