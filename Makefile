# `make repro` and `make test` do all set-up by themselves: a virtual environment, the locked packages, then the job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test test-fast lint ui bench supervised lock wheel clean help

help:
	@echo "make repro       the whole pipeline (dvc repro): data, CAMs, pseudo-labels, segmenter, report"
	@echo "make test        the tests"
	@echo "make test-fast   those that take a minute together; says what it leaves out"
	@echo "make lint        ruff check, ruff format, mypy"
	@echo "make ui          the MLflow page, and the address at which it shows the results"
	@echo "make supervised  the same segmenter trained on true masks, for comparison"
	@echo "make bench       each fast step against its straightforward version -> docs/benchmarks.md"
	@echo "make lock        requirements.lock from pyproject.toml"
	@echo "make wheel       dist/weaktr-VERSION-py3-none-any.whl"
	@echo "make clean       remove what the stages wrote; raw data, weights, caches and recorded runs stay"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; set PYTHON=/path/to/python3."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

repro: $(READY)
	dvc repro
	@python -m stages result

test: $(READY)
	pytest -n 2 --dist loadfile

test-fast: $(READY)
	pytest -n 2 --dist loadfile -m "not slow"

lint: $(READY)
	ruff check .
	ruff format --check .
	mypy

ui: $(READY)
	@weaktr ui

supervised: $(READY)
	dvc exp run --temp -S '+recipes=supervised'

bench: $(READY)
	python -m benchmarks

lock: $(READY)
	$(BIN)/python -m pip install --quiet uv
	uv pip compile pyproject.toml --group dev --extra onnx --extra pipeline --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock

wheel: $(READY)
	rm -rf build
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean:
	rm -rf models/cam models/segmenter reports checkpoints data/prepared data/cams data/pseudo-labels \
		data/predictions .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
