# make run     a working call centre on this machine, in the foreground; Ctrl-C stops all of it
# make test    the whole suite, against real peers where they are to be had
# make check   format, lint, strict types, contracts between the rooms
# make bench   measure: make bench NAME=pop (see docs), results as JSON lines
# make chaos   ten thousand calls while everything breaks, and the tests that kill what we depend on
# make docs    write the generated pages of docs/reference anew
# make setup   only what the others need; make lock: lock the Python packages anew; make clean: take set-up away, keep data

SHELL := /bin/bash
VENV := .venv/bin
PYTEST := $(VENV)/python -m pytest
NAME ?= pop
ARGS ?=
export LINGXI_HOME ?= $(CURDIR)/var

.PHONY: run setup setup-dev peers test check format bench chaos docs lock clean

run: setup
	@exec $(VENV)/lingxi run --demo $(ARGS)

setup:
	@PYTHON="$(PYTHON)" config/setup/environment.sh run

setup-dev:
	@PYTHON="$(PYTHON)" config/setup/environment.sh dev

peers: setup-dev
	@config/setup/peers.sh

test: peers
	@$(PYTEST) -n 2 --dist loadgroup $(ARGS)

check: setup-dev
	@wrong=0; for one in "ruff format --check ." "ruff check ." "mypy --strict" "lint-imports --no-cache"; do \
	  echo "$$one"; $(VENV)/$$one || wrong=1; done; exit $$wrong

format: setup-dev
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .

bench: setup-dev
	@$(VENV)/lingxi bench $(NAME) --json $(ARGS)

chaos: peers
	@LINGXI_DEEP=1 $(PYTEST) tests/chaos $(ARGS)
	@$(PYTEST) -m "redis or postgres or pbx" --ignore=tests/chaos $(ARGS)

docs: setup-dev
	@$(VENV)/python -m config.setup.pages

lock:
	@config/setup/lock.sh

clean:
	rm -rf .venv node_modules crm_core/web/static/vendor *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
