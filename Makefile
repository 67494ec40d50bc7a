# onvp: everything a newcomer types. `make help` lists the targets.
SHELL := /bin/bash
PY := .venv/bin/python
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup build test demo check bench clean
help:
	@echo 'make demo    set up, then run scripts on three vantage points in the lab'
	@echo 'make test    set up, then run every test'
	@echo 'make check   format, lint, types, import contracts, tests'
	@echo 'make bench   print the comparison tables of docs/benchmarks.md'

build:
	$(PY) -c 'import setuptools; setuptools.setup()' -q build_ext --inplace
