# onvp: everything a newcomer types. `make help` lists the targets.
#
# The targets set up what they need: Debian's packages (as root), a virtual environment in .venv, the
# compiled parts. Each step runs once and again when what it is made from has changed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
PY := .venv/bin/python
SETUP := import setuptools; setuptools.setup()

SOURCES := $(wildcard native/*.pyx native/warts/*.pxi sandbox/jail/*.pyx)
PACKAGES := tests/lab/packages.txt tests/packages.txt

.PHONY: help setup demo test check bench fmt clean packages
help:
	@echo 'make demo    set up, then run scripts on three vantage points in the lab'
	@echo 'make test    set up, then pass every test'
	@echo 'make check   format, lint, types, import contracts, tests: before each commit'
	@echo 'make bench   print the comparison tables of docs/benchmarks.md'
	@echo 'make clean   remove what the other targets made here'

setup: packages build/.built

# Servers of the lab run inside the lab only: a policy-rc.d that says no keeps their packages from
# starting them on this machine. One that is already there is left alone.
packages: $(PACKAGES)
	@missing=$$(sed 's/#.*//' $(PACKAGES) | awk 'NF' | while read -r name; do \
	  dpkg-query -W -f '$${db:Status-Abbrev}' "$$name" 2>/dev/null | grep -q '^ii' || echo "$$name"; done); \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" != 0 ]; then \
	    echo "make: these Debian packages are missing: $$(echo $$missing). Run 'sudo make setup', or install them with apt." >&2; \
	    exit 3; fi; \
	  echo "installing: $$(echo $$missing)"; \
	  if [ ! -e /usr/sbin/policy-rc.d ]; then \
	    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; \
	    trap 'rm -f /usr/sbin/policy-rc.d' EXIT; fi; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq; \
	  apt-get install -y -qq --no-install-recommends $$missing > /dev/null; \
	fi

# A changed pyproject.toml installs anew, which also builds; changed sources are only built.
build/.built: pyproject.toml $(SOURCES) | packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Say make PYTHON=python3.11" >&2; exit 3; }
	@mkdir -p build/mypy/onvp && for room in sandbox native controller policies; do \
	  ln -sfn "../../../$$room" "build/mypy/onvp/$$room"; done
	@if [ ! -e .venv/.made ] || [ pyproject.toml -nt .venv/.made ]; then \
	  echo "setting up .venv: libraries, then the compiled parts (about a minute)"; \
	  test -x $(PY) || $(PYTHON) -m venv .venv; \
	  { $(PY) -m pip install -q --disable-pip-version-check 'setuptools>=80' 'Cython>=3.1' && \
	    $(PY) -m pip install -q --disable-pip-version-check --no-build-isolation -e '.[dev]'; \
	  } > build/pip.log 2>&1 || { cat build/pip.log >&2; exit 1; }; \
	  touch .venv/.made; \
	else \
	  $(PY) -W ignore -c '$(SETUP)' -q build_ext --inplace; \
	fi
	@touch $@

demo: setup
	@$(PY) -m tests.demo

test: setup
	@$(PY) -m pytest -q

check: setup
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@MYPYPATH=build/mypy .venv/bin/mypy -p onvp
	@.venv/bin/lint-imports --no-cache
	@$(PY) -m pytest -q

bench: setup
	@$(PY) -m tests.bench

fmt: setup
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

clean:
	@rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@rm -f native/*.c native/*.so sandbox/jail/*.c sandbox/jail/*.so
