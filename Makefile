# Everything one does with the template. `make demo` and `make test` set up what they need.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11 python,$(if $(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(name))))
# Version of Django that the template folder is tested with; 6.1 needs Python 3.12.
DJANGO ?= 5.2
VENV ?= .venv
PORT ?= 8000
# Tests run on this many processes.
JOBS ?= 2
# The docker command, and where `make test-services` finds PostgreSQL and Redis.
DOCKER ?= docker
POSTGRES ?= postgres://postgres@127.0.0.1:5432
REDIS ?= redis://127.0.0.1:6379/7

BIN := $(abspath $(VENV))/bin
INSTALLED := $(VENV)/.installed-$(DJANGO)
TEMPLATE := {{cookiecutter.project_slug}}
# The generated projects' make finds the uv of this environment, which makes theirs in seconds.
export PATH := $(BIN):$(PATH)
export DOCKER

.DEFAULT_GOAL := help
.PHONY: bench help setup demo test test-template test-generation test-services test-containers check format clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(INSTALLED)  ## make the virtual environment and install the packages

$(INSTALLED): pyproject.toml $(TEMPLATE)/pyproject.toml scripts/requirements.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found. Name one: make PYTHON=..." >&2; exit 1; }
	@echo "==> Making $(VENV) and installing the packages; this takes a minute, the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PYTHON) scripts/requirements.py $(DJANGO) > $(VENV)/requirements.txt
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement $(VENV)/requirements.txt
	@touch $@

demo: $(INSTALLED)  ## generate a project with default answers and serve it
	@echo "==> Generating a project with default answers in .demo"
	@$(BIN)/python scripts/demo.py
	@cd .demo/live_polls && exec $(MAKE) --no-print-directory run PORT=$(PORT)

test: test-template test-generation  ## everything that needs no outside service

test-template: $(INSTALLED)
	@echo "==> Testing the template folder as it stands"
	@cd '$(TEMPLATE)' && $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal -p no:cacheprovider $(ARGS)

# The peers live in an environment of their own.
BENCH_VENV ?= .bench-venv
# The services only if somebody names them: their defaults may not be there.
given = $(if $(filter-out file,$(origin $(1))),$($(1)))

bench: $(INSTALLED)  ## measure; ONLY=writes for one part, POSTGRES= and REDIS= for what to measure on
	@test -x $(BENCH_VENV)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(BENCH_VENV)
	@$(BIN)/uv pip install --quiet --python $(BENCH_VENV)/bin/python -r $(VENV)/requirements.txt -r bench/requirements.txt
	@ONLY=$(ONLY) POSTGRES=$(call given,POSTGRES) REDIS=$(call given,REDIS) $(BENCH_VENV)/bin/python -m bench
