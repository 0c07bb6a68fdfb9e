# `make help` is the map. Two commands matter most: `make report` and `make test`.
CITY ?= demo
YEAR ?=
LANG_ ?= zh
BOOK ?= annual_checkup
EDITION ?= internal
FORMAT ?= html,docx,pdf
QUARTER ?=
PORT ?= 8866
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Plain jupyter and papermill of .venv find the kernels too, not only the workbench's own commands.
KERNELS = for k in kernels/*/; do $(BIN)/jupyter kernelspec install --log-level=ERROR --sys-prefix --name $$(basename $$k) $$k || exit 1; done
# The newest interpreter the lock file was made for.
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	$$p -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help install check format test bench lab dashboard report demo clean

help: ## Show this map
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo; echo "Books for BOOK=: $(basename $(notdir $(wildcard reports/books/*.toml)))"

$(STAMP): requirements.lock pyproject.toml $(wildcard kernels/*/kernel.json)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed and was not found; name one with PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[0-9.]+' requirements.lock)"
	$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q -j 0 workbench
	@$(KERNELS)
	@touch $@

install: $(STAMP) ## Create .venv with the locked dependencies, the package, and register the kernels
	@$(KERNELS)

demo: $(STAMP) ## Generate the demo city and its catalogue (skipped when it is there)
	$(BIN)/workbench demo

report: $(STAMP) ## A report, the annual checkup: make report [CITY=demo] [YEAR=latest] [LANG_=zh|en] [BOOK=…] [EDITION=internal|public] [FORMAT=html,docx,pdf] [QUARTER=1..4]
	@$(BIN)/workbench report $(BOOK) --city $(CITY) $(if $(YEAR),--year $(YEAR)) --lang $(LANG_) --edition $(EDITION) --format $(FORMAT) $(if $(QUARTER),--quarter $(QUARTER))

test: $(STAMP) ## The whole test suite
	$(BIN)/python -m pytest -q -n 2

check: $(STAMP) ## Format, lint, types, import directions, clean notebooks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports
	find notebooks -name '*.ipynb' -print0 | xargs -0 $(BIN)/nbstripout --verify --keep-id

format: $(STAMP) ## Rewrite code and notebooks in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	find notebooks -name '*.ipynb' -print0 | xargs -0 $(BIN)/nbstripout --keep-id

bench: $(STAMP) ## Benchmarks against the named peers (minutes; figures in benchmarks/RESULTS.md)
	for b in benchmarks/bench_*.py; do $(BIN)/python $$b || exit 1; done

lab: $(STAMP) ## JupyterLab on the notebooks
	$(BIN)/workbench lab

dashboard: $(STAMP) ## The checkup as a dashboard with a login, on this machine: make dashboard [CITY=demo] [PORT=8866]
	@$(BIN)/workbench dashboard evaluation/city_checkup --city $(CITY) $(if $(YEAR),--year $(YEAR)) --lang $(LANG_) --port $(PORT)

clean: ## Remove what was generated (not .venv, not reports)
	rm -rf data .cache $(filter-out stac_catalog/README.md,$(wildcard stac_catalog/*)) .pytest_cache .mypy_cache .ruff_cache .hypothesis build ./*.egg-info
