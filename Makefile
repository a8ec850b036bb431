# Everything one does with the template. `make demo` and `make test` set up what they need.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11 python,$(if $(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(name))))
# Version of Django that the template folder is tested with; 6.1 needs Python 3.12.
DJANGO ?= 5.2
VENV ?= .venv
PORT ?= 8000
# Tests run on this many processes.
JOBS ?= 2
# The docker command, and where `make test-services` finds PostgreSQL (without a database's name) and Redis.
DOCKER ?= docker
POSTGRES ?= postgres://postgres@127.0.0.1:5432
REDIS ?= redis://127.0.0.1:6379/7

BIN := $(abspath $(VENV))/bin
INSTALLED := $(abspath $(VENV))/.installed-$(DJANGO)
TEMPLATE := {{cookiecutter.project_slug}}
PYTEST := $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal
# A generated project's make finds the uv of this environment and makes its own with it, in seconds.
export PATH := $(BIN):$(PATH)
export DOCKER POSTGRES REDIS

.DEFAULT_GOAL := help
.PHONY: bench help setup demo test test-template test-generation test-newest test-services test-browser test-containers check format clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

setup: $(INSTALLED)  ## make the virtual environment and install the packages

$(INSTALLED): pyproject.toml $(TEMPLATE)/pyproject.toml scripts/requirements.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found. Name one, as in: make PYTHON=python3.13" >&2; exit 1; }
	@echo "==> Making $(VENV) and installing the packages; this takes a minute, the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PYTHON) scripts/requirements.py $(DJANGO) > $(VENV)/requirements.txt
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement $(VENV)/requirements.txt
	@rm -f $(VENV)/.installed-*
	@touch $@

demo: $(INSTALLED)  ## generate a project with default answers and serve it
	@if [ -d .demo/live_polls ]; then \
		echo "==> The project of an earlier demo is there, in .demo/live_polls (make clean removes it)"; \
	else \
		echo "==> Generating a project with default answers into .demo/live_polls" && \
		$(BIN)/python scripts/generate.py .demo > /dev/null; \
	fi
	@echo "==> make run, in .demo/live_polls"
	@cd .demo/live_polls && exec $(MAKE) --no-print-directory run PYTHON=$(BIN)/python PORT=$(PORT) VENV=.venv

test: test-template test-generation  ## run everything that needs no outside service

test-template: $(INSTALLED)
	@echo "==> Testing the template folder as it stands"
	@cd '$(TEMPLATE)' && $(PYTEST) $(ARGS)

test-generation: $(INSTALLED)
	@echo "==> Testing the generation of projects, and a generated project as its users use it"
	@$(PYTEST) -m "not containers and not newest and not services and not browser" $(ARGS)

test-newest: $(INSTALLED)  ## run a generated project's tests and checks on the newest Django and Python, set up with pip
	@echo "==> Testing a generated project on the newest Django"
	@$(BIN)/python -m pytest -q -m newest -rs $(ARGS)

test-services: $(INSTALLED)  ## run the project's tests on PostgreSQL and Redis
	@$(BIN)/python scripts/services.py $(POSTGRES) $(REDIS) && { \
		echo "==> Testing the template folder on PostgreSQL and Redis" && \
		export DATABASE_URL=$(POSTGRES)/realtime_$$$$ REDIS_URL=$(REDIS) && \
		(cd '$(TEMPLATE)' && $(PYTEST) $(ARGS)) && \
		echo "==> Testing servers, commands and shells on PostgreSQL and Redis" && \
		{ $(BIN)/python -m pytest -q -m services $(ARGS) || test $$? -eq 5; }; } || test $$? -eq 77

test-browser: $(INSTALLED)  ## run the tests of the browser side, in Node and in Chromium; screenshots in .cache/screenshots
	@$(BIN)/python scripts/browser.py && { \
		echo "==> Testing client.js in Node" && \
		node --test --test-reporter=dot tests/client/*.test.mjs && \
		echo "==> Testing a generated project in Chromium" && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python -r tests/browser/requirements.txt && \
		$(BIN)/python -m pytest -q -m browser -rs $(ARGS); } || test $$? -eq 77

test-containers: $(INSTALLED)  ## build and run a generated project with docker compose
	@echo "==> Building and running a generated project with: $(DOCKER) compose"
	@$(BIN)/python -m pytest -q -m containers -rs $(ARGS)

check: $(INSTALLED)  ## check everything static: the template's own code, the project's, compose file and Dockerfile
	@echo "==> Format and lint of the template's own code"
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/ruff check $(CHECKED)
	@echo "==> make check, in the template folder"
	@$(MAKE) --no-print-directory -C '$(TEMPLATE)' check VENV=$(abspath $(VENV)) INSTALLED=$(INSTALLED)
	@echo "==> Compose file and Dockerfile of a generated project"
	@rm -rf .cache/check && $(BIN)/python scripts/generate.py .cache/check > /dev/null
	@cd .cache/check/live_polls && $(BIN)/hadolint Dockerfile
	@cd .cache/check/live_polls && if $(DOCKER) compose version > /dev/null 2>&1; then $(DOCKER) compose config -q; \
		elif [ "$$CI" = true ]; then echo "$(DOCKER) compose does not answer" >&2; exit 1; \
		else echo "Skipped the compose file: $(DOCKER) compose does not answer."; fi

CHECKED := hooks scripts tests $(wildcard bench)

format: $(INSTALLED)  ## put the code into shape
	@$(BIN)/ruff check --fix --quiet --exit-zero $(CHECKED) '$(TEMPLATE)'
	@$(BIN)/ruff format $(CHECKED) '$(TEMPLATE)'
	@$(BIN)/ruff check $(CHECKED) '$(TEMPLATE)'

clean:  ## remove everything that can be made again
	rm -rf $(VENV) $(BENCH_VENV) node_modules .demo .cache .pytest_cache .ruff_cache .hypothesis

# The peers live in an environment of their own.
BENCH_VENV ?= .bench-venv
# The services only if somebody names them: their defaults may not be there.
given = $(if $(filter-out file,$(origin $(1))),$($(1)))

bench: $(INSTALLED)  ## measure; ONLY=writes for one part, POSTGRES= and REDIS= for what to measure on
	@test -x $(BENCH_VENV)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(BENCH_VENV)
	@$(BIN)/uv pip install --quiet --python $(BENCH_VENV)/bin/python -r $(VENV)/requirements.txt -r bench/requirements.txt
	@ONLY=$(ONLY) POSTGRES=$(call given,POSTGRES) REDIS=$(call given,REDIS) $(BENCH_VENV)/bin/python -m bench
