# Two commands for a fresh machine: `make demo` and `make test`. Both make .venv first.
# ARGS=... is handed on: `make demo ARGS=--once`, `make test ARGS="-k smtp"`.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null \
	&& command -v $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test bench stress lint reference pictures clean

demo: $(VENV)/.installed
	@$(BIN)/filterd demo $(ARGS)

test: $(VENV)/.tested
	@$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.tested
	@$(BIN)/python -m tests.bench $(ARGS)

stress: $(VENV)/.tested
	@FILTERD_STRESS=1 $(BIN)/python -m pytest tests/stress tests/loss $(ARGS)

lint: $(VENV)/.tested
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

reference: $(VENV)/.installed
	@$(BIN)/filterd config reference > docs/configuration.md
	@$(BIN)/filterd config sample > packaging/filterd.yaml
	@$(BIN)/python -m filterd.cli.pages commands > docs/commands.md
	@$(BIN)/python -m filterd.cli.pages symbols > docs/symbols.md

pictures: $(VENV)/.tested
	@$(BIN)/python docs/pictures/make.py

clean:
	rm -rf $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.tested: pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "filterd needs Python 3.11 to 3.14 with venv (Debian: apt-get install python3-venv)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
