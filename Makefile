# Everything a newcomer needs: `make demo` runs the main job on real data, `make test` the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo
# One worker a core; each starts servers of its own. WORKERS=0 runs all tests in one process.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count(), 4))')
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal
# Bytecode makes start-up twice as fast; some machines switch it off.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test check coverage bench soak lock bench-lock clean
.PHONY: fuzz audit audit-where-reachable sbom audit-lock

setup: $(VENV)/.done

# The lock names no host and every file has its hash; pip takes nothing else.
$(VENV)/.done: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q $(VENV)/lib src || true
	touch $@

demo: setup
	rm -rf $(DEMO)
	$(BIN)/prefect-etl init $(DEMO)
	cd $(DEMO) && $(CURDIR)/$(BIN)/prefect-etl run

test: setup
	$(PYTEST) $(ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

coverage: setup
	$(PYTEST) --cov=prefect_etl --cov-report=term:skip-covered $(ARGS)

bench: setup
	$(BIN)/python -m benchmarks $(ARGS)

soak: setup
	PREFECT_ETL_SOAK=1 $(BIN)/pytest tests/faults tests/orchestration tests/deployments $(ARGS)

# make fuzz SECONDS=600 TARGETS="csv uri"; atheris is in no other environment than this one.
SECONDS ?= 60
fuzz: setup
	$(PYTHON) -m venv build/fuzzing
	build/fuzzing/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  -r fuzz/requirements.txt
	PYTHONPATH="$$(echo $(CURDIR)/$(VENV)/lib/python3*/site-packages):src" \
	  build/fuzzing/bin/python -m fuzz $(SECONDS) $(TARGETS)

# What audits is no part of what is audited, and has a lock and an environment of its own.
AUDIT := build/audit/bin
$(AUDIT)/.done: scripts/audit.txt
	$(PYTHON) -m venv build/audit
	$(AUDIT)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  -r scripts/audit.txt
	touch $@

audit: setup $(AUDIT)/.done
	$(BIN)/python scripts/audit.py locks
	$(BIN)/python scripts/audit.py installed
	$(AUDIT)/python scripts/audit.py vulnerabilities $(AUDIT_OPTIONS)

audit-where-reachable:
	$(MAKE) audit AUDIT_OPTIONS=--where-reachable

sbom: $(AUDIT)/.done
	$(AUDIT)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
	  --output-reproducible --of JSON -o build/sbom.json

audit-lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv
	for of in scripts/audit fuzz/requirements; do \
	  build/lock/bin/uv pip compile --quiet --universal --generate-hashes --no-strip-extras \
	    --no-emit-index-url --no-emit-find-links --no-annotate --python-version 3.11 \
	    --custom-compile-command "make audit-lock" $$of.in -o $$of.txt || exit 1; \
	done

lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv
	build/lock/bin/uv pip compile --quiet --universal --generate-hashes --no-strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-annotate --extra dev --python-version 3.11 \
	  --custom-compile-command "make lock" pyproject.toml -o requirements.lock

bench-lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv
	build/lock/bin/uv pip compile --quiet --universal --generate-hashes --no-strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-annotate --python-version 3.11 \
	  --custom-compile-command "make bench-lock" -c requirements.lock \
	  benchmarks/requirements.txt -o benchmarks/requirements.lock

clean:
	rm -rf build $(VENV)
