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
