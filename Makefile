# Two commands are enough: `make serve` and `make test`. Everything is installed into .venv, from pinned and
# hashed requirements; a second run installs nothing. `make PYTHON=python3.13 serve` takes another interpreter.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
STAMPS := $(VENV)/.stamps
SOURCES := mirrorlistd snapshot tests bench

.DEFAULT_GOAL := help
.PHONY: help serve test quick quick-rules quick-first quick-second soak check lint type unit bench format default lock clean debian
.DELETE_ON_ERROR:

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

serve: $(STAMPS)/run ## serve the built-in default snapshot on 127.0.0.1:8080
	@exec $(BIN)/mirrorlistd serve

test: debian $(STAMPS)/dev ## install everything, then run all checks and tests
	@$(MAKE) --no-print-directory check

quick: $(STAMPS)/dev ## in 20 seconds: style, contracts, types, and the tests that need no process, root, browser or network
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target quick-rules quick-first quick-second

# Two runs of pytest, of which each imports the half that it tests: faster than two workers that import everything.
# The compiled modules are kept, whatever the environment says: compiling them anew takes longer than testing.
QUICK = env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest --quiet --no-header -p no:xdist -p no:cacheprovider \
  --hypothesis-profile=quick -m "not (process or browser or root or network or slow or soak)"

FIRST_HALF = $(addprefix tests/,answering config presets render request selection snapshot)

quick-rules:
	@$(BIN)/ruff check --quiet && $(BIN)/ruff format --check --quiet && $(BIN)/lint-imports >$(STAMPS)/lint-imports \
	  || { cat $(STAMPS)/lint-imports; exit 1; }
	@$(BIN)/mypy

quick-first:
	@$(QUICK) $(FIRST_HALF)

quick-second:
	@$(QUICK) tests $(addprefix --ignore=,$(FIRST_HALF))

soak: $(STAMPS)/dev ## the rare and long tests that `make test` leaves out
	$(BIN)/pytest -m soak || [ $$? -eq 5 ]  # 5: there are none

check: lint type unit

lint: $(STAMPS)/dev ## style, and which module may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

type: $(STAMPS)/dev ## both type checkers
	$(BIN)/mypy
	$(BIN)/pyright

unit: $(STAMPS)/dev ## the tests alone
	$(BIN)/pytest -n auto

bench: $(STAMPS)/dev ## measure beside nginx and bare ASGI, and all that has a target; see bench/README.md
	@tests/debian/install bench/debian-packages.txt
	@$(MAKE) --no-print-directory VENV=$(VENV)-run $(VENV)-run/.stamps/run
	@for script in mix_table instructions http_table memory_and_reload bad_clients bench_answer; do echo "== bench/$$script.py" && \
	  BENCH_PYTHON=$(abspath $(VENV))-run/bin/python $(BIN)/python bench/$$script.py || exit; done

format: $(STAMPS)/dev ## let ruff arrange the code
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

default: $(STAMPS)/run ## compile snapshot/examples into the built-in default snapshot
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct -- snapshot/examples) \
	  $(BIN)/mirrorlist-snapshot compile snapshot/examples --serial 1 -o mirrorlistd/default.mls

# Universal: one file for every platform and every Python that pyproject.toml allows.
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header
lock: $(STAMPS)/dev ## renew requirements*.txt from pyproject.toml
	$(LOCK) pyproject.toml --group build -o requirements.txt
	$(LOCK) pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt
	$(LOCK) pyproject.toml --group build --extra pull --extra admin -c requirements-dev.txt -o deploy/container/requirements.txt

clean: ## remove what all of the above made
	rm -rf $(VENV) $(VENV)-run build dist .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

debian:
	@tests/debian/install

# The build backend is in requirements.txt, too, so that nothing unpinned is fetched for the editable install.
INSTALL = $(PIP) install --no-build-isolation --no-deps --editable .

$(STAMPS)/run: requirements.txt pyproject.toml mirrorlistd/__init__.py | $(STAMPS)
	$(PIP) install --require-hashes -r requirements.txt
	$(INSTALL)
	@touch $@

$(STAMPS)/dev: requirements-dev.txt pyproject.toml mirrorlistd/__init__.py | $(STAMPS)
	$(PIP) install --require-hashes -r requirements-dev.txt
	$(INSTALL)
	@touch $@ $(STAMPS)/run

# Debian keeps venv's pip in a package of its own; without it, the system's pip puts one in.
$(STAMPS):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "expected Python 3.11 or newer, found $$($(PYTHON) --version 2>/dev/null || echo no $(PYTHON));" \
	    "name one, for example: make PYTHON=python3.13 serve" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; } || { \
	  echo "cannot make $(VENV): $(PYTHON) has neither ensurepip nor pip;" \
	    "on Debian or Ubuntu: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@mkdir -p $@
