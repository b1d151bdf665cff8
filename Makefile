# Everything sets itself up: interpreter, virtual environment, extension. `make help` lists the targets.

PYTHON_VERSION ?= 3.13t
VENV ?= .venv-$(PYTHON_VERSION)
PORT ?= 8000
T ?= 60
PY = $(VENV)/bin/python
READY = $(VENV)/.ready
TESTERS = $(VENV)/.testers
NATIVE = $(VENV)/.native
SOURCES = $(shell find src ext build.rs Cargo.toml Cargo.lock .cargo -name '*.rs' -o -name '*.toml' -o -name Cargo.lock)
SHELL = /bin/bash
PIP = $(PY) -m pip install -q --disable-pip-version-check --prefer-binary

.PHONY: asan campaign models mutants verdicts help serve test matrix build venv lint bench load scaling fuzz parity parity-versions fastapi-suite parallel clean

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 16
	@echo "  PYTHON_VERSION=3.13t|3.13|3.14t picks the interpreter (3.13t); T=60 the seconds of each fuzz target"

serve: build ## Serve examples/hello.py on 127.0.0.1:8000 (PORT=8000, ARGS="--workers 2")
	$(PY) -m turboapi_rs run examples.hello:app --host 127.0.0.1 --port $(PORT) $(ARGS)

test: build $(TESTERS) ## Run all tests
	PYTHON=$(abspath $(PY)) bash scripts/test.sh

parallel: build $(TESTERS) ## The Python tests, each in four threads at once (ARGS="tests/sse")
	PYTHON=$(abspath $(PY)) bash scripts/parallel.sh $(ARGS)

matrix: ## The tests on 3.13t, 3.13 and 3.14t, where they are to be had (ARGS="--short": the last two in part)
	bash scripts/matrix.sh $(ARGS)

build: $(NATIVE) ## Build the extension into the virtual environment

venv: $(TESTERS) ## Make the virtual environment, with what the tests need

lint: $(TESTERS) ## Formatting, lints, layers, unsafe blocks
	PYTHON=$(abspath $(PY)) bash scripts/lint.sh

bench: venv ## Criterion benches: heads, bodies, routes; JSON and dispatch in an embedded interpreter
	cargo bench --no-default-features
	PYO3_PYTHON=$(abspath $(PY)) \
	LD_LIBRARY_PATH=$$($(PY) -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))') \
	PYTHONHOME=$$($(PY) -c 'import sys; print(sys.base_prefix)') cargo bench --bench dispatch

load: build $(TESTERS) ## Server CPU per request: ours beside bare and peers (ARGS="--rounds 5")
	$(PY) benches/load/run.py $(ARGS)

scaling: build $(TESTERS) ## Two workers beside two processes: throughput, CPU per request (ARGS="--rounds 11")
	$(PY) benches/scaling.py $(ARGS)

fuzz: $(TESTERS) ## Every fuzz target, T seconds each
	PYTHON=$(abspath $(PY)) bash scripts/fuzz.sh $(T)

soak: build $(TESTERS) ## A million requests of all kinds in each isolation: nothing may grow (ARGS="--requests 20000")
	$(PY) -m tests.soak $(ARGS)

tsan: $(TESTERS) ## ThreadSanitizer: the Rust tests, and the server under load (TURBOAPI_SANITIZE_SECONDS=600)
	PYTHON=$(abspath $(PY)) bash scripts/sanitize.sh thread

models: ## Models of the concurrent pieces (loom), and the deliberate bugs that they find (ARGS="--quick": models alone)
	bash scripts/models.sh $(ARGS)

asan: $(TESTERS) ## AddressSanitizer, and the library's own invariants: the Rust tests; the fuzz targets over what is known
	PYTHON=$(abspath $(PY)) bash scripts/sanitize.sh address

mutants: $(TESTERS) ## The deliberate bug of each fuzz target, found within T seconds (T=20)
	PYTHON=$(abspath $(PY)) bash scripts/mutants.sh $(if $(filter 60,$(T)),20,$(T))

campaign: $(TESTERS) ## Fuzz for HOURS (8), in rounds; the corpus is kept and minimised
	PYTHON=$(abspath $(PY)) bash scripts/campaign.sh $(or $(HOURS),8) $(ARGS)

parity: build $(TESTERS) ## Compare with FastAPI on uvicorn; writes PARITY.md
	$(PY) -m tests.parity --write PARITY.md

verdicts: build $(TESTERS) ## Native verdicts and models beside FastAPI's own, over BODIES random bodies (1000000)
	$(PY) -m tests.validate_support --bodies $(or $(BODIES),1000000) $(ARGS)

parity-versions: build $(TESTERS) ## The same on every FastAPI that is compiled; writes nothing
	PYTHON=$(abspath $(PY)) bash scripts/fastapi_versions.sh

fastapi-suite: build $(TESTERS) ## FastAPI's own tests, with FastAPI and with TurboAPI in its place (ARGS="tests/test_sse.py")
	$(PY) -m tests.fastapi_suite $(ARGS)

clean: ## Remove what was built here (not the cached interpreters)
	rm -rf target .venv-* fuzz/target python/turboapi_rs/*.so

$(READY): scripts/requirements/run.txt
	set -e; python=$$(bash scripts/python.sh $(PYTHON_VERSION)); \
	if [ "$$($(PY) -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null)" != "$$python" ]; then \
	rm -rf $(VENV); "$$python" -m venv $(VENV); fi
	$(PIP) -r scripts/requirements/run.txt
	@touch $@

$(TESTERS): $(READY) scripts/requirements/test.txt
	$(PIP) -r scripts/requirements/test.txt
	@touch $@

$(NATIVE): $(READY) $(SOURCES) pyproject.toml
	@command -v cargo >/dev/null || { echo "make: cargo is missing; install Rust with rustup" >&2; exit 1; }
	VIRTUAL_ENV=$(abspath $(VENV)) $(PY) -m maturin develop --release
	@touch $@
