# Everything sets itself up: interpreter, virtual environment, extension. `make help` lists the targets.

PYTHON_VERSION ?= 3.13t
VENV ?= .venv-$(PYTHON_VERSION)
PY = $(VENV)/bin/python
STAMP = $(VENV)/.requirements
NATIVE = $(VENV)/.native
SOURCES = $(shell find src ext Cargo.toml Cargo.lock build.rs .cargo -name '*.rs' -o -name '*.toml' -o -name Cargo.lock)
SHELL = /bin/bash
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help serve test build venv bench load fuzz lint clean

help: ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/' | expand -t 16
	@echo "  PYTHON_VERSION=3.13t|3.13|3.14t picks the interpreter"

serve: build ## Serve examples/hello.py on 127.0.0.1:8000
	$(PY) -m turboapi_rs run examples.hello:app --host 127.0.0.1 --port 8000

test: build ## Run all tests
	PYTHON=$(PY) bash scripts/test.sh

build: $(NATIVE) ## Build the extension into the virtual environment

venv: $(STAMP) ## Make the virtual environment

$(STAMP): scripts/requirements/test.txt
	set -e; python=$$(scripts/python.sh $(PYTHON_VERSION)); \
	[ -x $(PY) ] || "$$python" -m venv $(VENV)
	$(PY) -m pip install -q --prefer-binary -r scripts/requirements/test.txt
	@touch $@

$(NATIVE): $(STAMP) $(SOURCES) $(wildcard pyproject.toml)
	@command -v cargo >/dev/null || { echo "make: cargo is missing: install rustup, see https://rustup.rs" >&2; exit 1; }
	VIRTUAL_ENV=$(abspath $(VENV)) $(PY) -m maturin develop --release
	@touch $@

lint: $(STAMP) ## Formatting, lints, layers, unsafe blocks
	PYTHON=$(PY) bash scripts/lint.sh

bench: ## Criterion benches
	cargo bench --no-default-features

load: build ## Server CPU per request, ours beside bare and peers
	$(PY) benches/load/run.py

fuzz: ## All fuzz targets, T seconds each (default 60)
	bash scripts/fuzz.sh $(or $(T),60)

clean: ## Remove what was built here
	rm -rf target .venv-* fuzz/target python/turboapi_rs/*.so
