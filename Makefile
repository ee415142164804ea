# Every target sets up what it needs in .venv; a machine with Python 3.11 or newer and make will do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
# Its packages would be at odds with ours, so it has an environment of its own.
UPSTREAM := .venv-upstream

.PHONY: demo test crash bench bench-full upstream lint types imports docs lock clean

demo: $(VENV)/.run-ready  ## the main job on a sample, against the local Valar
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh samples/demo.sh

# One worker more than there are cores: the tests wait for the commands that they start.
test: $(VENV)/.dev-ready  ## the tests
	$(BIN)/python -m pytest --numprocesses=$$(($$(nproc || echo 2) + 1)) --dist=worksteal

crash: $(VENV)/.dev-ready  ## kill commands N times at all moments of their lives, and compare
	KILLS=$(or $(N),1000) $(BIN)/python -m pytest tests/crash --numprocesses=$$(($$(nproc || echo 2) + 1)) --dist=worksteal

upstream: $(UPSTREAM)/.ready  ## an OpenAI-compatible server for the tests of serve --upstream

lint: $(VENV)/.dev-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev-ready
	$(BIN)/mypy

imports: $(VENV)/.dev-ready
	$(BIN)/lint-imports

bench: $(VENV)/.bench-ready  ## what the client costs, beside the alternatives, in a few minutes
	$(BIN)/python -m benchmarks

bench-full: $(VENV)/.bench-ready  ## the same in full, into docs/performance.md; takes half an hour
	$(BIN)/python -m benchmarks --full --page docs/performance.md

docs: $(VENV)/.dev-ready  ## write the generated pages and pictures anew
	$(BIN)/python docs/build.py

lock: $(VENV)/.dev-ready  ## resolve the dependencies anew
	$(PIP) install uv
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header -q -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-annotate --no-header -q -o requirements-dev.lock
	$(BIN)/uv pip compile --group bench --universal --generate-hashes --no-annotate --no-header -q -c requirements-dev.lock -o requirements-bench.lock
	echo uv | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q -o tests/upstream/installer.lock
	$(BIN)/uv pip compile tests/upstream/requirements.in --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q -o tests/upstream/requirements.lock

clean:
	rm -rf $(VENV) $(UPSTREAM) demo

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-ready: $(BIN)/python requirements.lock pyproject.toml
	@echo "Setting up $(VENV) …"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps -e .
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.run-ready requirements-dev.lock
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.bench-ready: $(VENV)/.run-ready requirements-bench.lock
	@$(PIP) install --require-hashes -r requirements-bench.lock
	@touch $@

# uv, because pip takes minutes where uv takes seconds.
$(UPSTREAM)/.ready: tests/upstream/installer.lock tests/upstream/requirements.lock
	@echo "Setting up $(UPSTREAM) …"
	@$(PYTHON) -m venv $(UPSTREAM)
	@$(UPSTREAM)/bin/python -m pip --disable-pip-version-check --quiet --quiet install --require-hashes -r $<
	@$(UPSTREAM)/bin/uv pip install --quiet --require-hashes --python $(UPSTREAM)/bin/python -r tests/upstream/requirements.lock
	@touch $@
