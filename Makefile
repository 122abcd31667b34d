# `make demo` and `make test` do everything on a fresh machine: they create .venv, install, and run.
#
#   make demo                      the main job on the digits (WORKDIR=runs/digits)
#   make test                      the test suite (JOBS=auto, ARGS=...); it prints what it cost
#   make test-all                  all pairs, more drawn examples, every example of the docs; compiled as users compile
#   make lint types bench format   the linter, the type checker, the benchmarks, the formatter
#   PYTHON=python3.12 make test    any of them under another interpreter
#   make clean                     removes what the above made, runs/ excepted

PYTHON ?= python3
WORKDIR ?= runs/digits
JOBS ?= auto
ARGS ?=
BENCH ?= configs/bench_int8.py

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP_FLAGS := --disable-pip-version-check --no-input $(if $(CI),--quiet,)
SOURCES := compressjax experiments configs tests third_party setup.py

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint types bench format clean

help:
	@sed -n 's/^#  *//p' Makefile | head -n 7

# .venv is made anew when it is absent, broken, or of another version than $(PYTHON); the packages are installed when
# setup.py is newer than the last installation that went through. pyenv puts names on the path that do not run unless
# they are selected, so its own folder is looked into as well.
setup:
	@python='$(PYTHON)'; \
	if ! $$python -c '' >/dev/null 2>&1; then \
	  python=`ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/*/bin/'$(PYTHON)' 2>/dev/null | sort -V | tail -n 1`; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "make: '$(PYTHON)' does not run here. Name an interpreter that does: PYTHON=python3.12 make ..." >&2; exit 1; \
	fi; \
	if ! $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  echo "make: $$python is `$$python --version 2>&1`; compressjax needs Python 3.11 or later." \
	       "Name one: PYTHON=python3.12 make ..." >&2; exit 1; \
	fi; \
	wanted=`$$python -c 'import sys; print(sys.version)'`; \
	found=`$(BIN)/python -c 'import sys; print(sys.version)' 2>/dev/null`; \
	if [ "$$wanted" != "$$found" ]; then \
	  echo "make: creating $(VENV) with `$$python --version`"; \
	  rm -rf $(VENV) && $$python -m venv $(VENV) || exit 1; \
	fi; \
	if [ ! -e $(STAMP) ] || [ setup.py -nt $(STAMP) ]; then \
	  echo "make: installing compressjax and what it needs into $(VENV) (a few minutes the first time)"; \
	  $(BIN)/python -m pip install $(PIP_FLAGS) -e '.[experiments,test]' && touch $(STAMP); \
	fi

demo: setup
	$(BIN)/python -m experiments.compress --config=configs/digits.py --workdir=$(WORKDIR)

test: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-all: setup
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m '' $(ARGS)

lint: setup
	$(BIN)/python -m ruff check $(SOURCES)
	$(BIN)/python -m ruff format --check $(SOURCES)

format: setup
	$(BIN)/python -m ruff check --fix $(SOURCES)
	$(BIN)/python -m ruff format $(SOURCES)

types: setup
	$(BIN)/python -m mypy

bench: setup
	$(BIN)/python -m experiments.bench --config=$(BENCH)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
