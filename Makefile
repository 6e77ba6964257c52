# `make repro` and `make test` do all set-up by themselves: a virtual environment, the locked packages, then the job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test lint ui bench supervised lock clean help

help:
	@echo "make repro       the whole pipeline (dvc repro): data, CAMs, pseudo-labels, segmenter, report"
	@echo "make test        the tests"
	@echo "make lint        ruff check, ruff format, mypy"
	@echo "make ui          the MLflow page, on http://127.0.0.1:5000"
	@echo "make supervised  the same segmenter trained on true masks, for comparison"
	@echo "make bench       each fast step against its straightforward version -> docs/benchmarks.md"
	@echo "make lock        requirements.lock from pyproject.toml"
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

test: $(READY)
	pytest -n 2 --dist loadfile

lint: $(READY)
	ruff check .
	ruff format --check .
	mypy

ui: $(READY)
	mlflow ui --host 127.0.0.1 --backend-store-uri sqlite:///mlflow.db

supervised: $(READY)
	dvc exp run --temp --name supervised --force -S '+recipes=supervised'

bench: $(READY)
	python -m benchmarks

lock: $(READY)
	$(BIN)/python -m pip install --quiet uv
	uv pip compile pyproject.toml --group dev --extra onnx --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock

clean:
	rm -rf code.json models/cam models/segmenter reports checkpoints data/prepared data/cams data/pseudo-labels \
		data/predictions .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
