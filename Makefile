# `make repro` and `make test` do all set-up by themselves: a virtual environment, the locked packages, then the job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A machine without a GPU: an index with CPU builds of torch, such as https://download.pytorch.org/whl/cpu. Torch
# and torchvision come from there, without hashes, in the locked versions; CUDA's libraries are left out.
TORCH_INDEX ?=
CUDA := ^(nvidia-|cuda-|triton==|torch==|torchvision==)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: in-git setup repro test test-fast lint ui bench supervised lock wheel clean help

help:
	@echo "make repro       the whole pipeline (dvc repro): data, CAMs, pseudo-labels, segmenter, report"
	@echo "make test        the tests"
	@echo "make test-fast   those that take a minute together; says what it leaves out"
	@echo "make lint        ruff check, ruff format, mypy"
	@echo "make ui          the MLflow page, and the address at which it shows the results"
	@echo "make supervised  the same segmenter trained on true masks, for comparison"
	@echo "make bench       each step in turns with its straightforward version -> docs/benchmarks.md (20 minutes)"
	@echo "make lock        requirements.lock from pyproject.toml"
	@echo "make setup       .venv alone; TORCH_INDEX=https://download.pytorch.org/whl/cpu leaves out CUDA's 5 GB"
	@echo "make wheel       dist/weaktr-VERSION-py3-none-any.whl"
	@echo "make clean       remove what the stages wrote; raw data, weights, caches and recorded runs stay"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; set PYTHON=/path/to/python3."; exit 2; }
	$(PYTHON) -m venv $(VENV)
ifeq ($(TORCH_INDEX),)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
else
	awk '/^[a-z]/ {left_out = /$(CUDA)/} !left_out' requirements.lock > $(VENV)/without-cuda.lock
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r $(VENV)/without-cuda.lock
	$(BIN)/python -m pip install --quiet --no-deps --index-url $(TORCH_INDEX) \
		$$(grep -oE '^(torch|torchvision)==[^ ;]+' requirements.lock)
endif
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY)

repro: in-git $(READY)
	dvc repro
	@python -m stages result

# A ZIP download has no .git, without which DVC does nothing.
in-git:
	@git rev-parse --git-dir > /dev/null 2>&1 || { echo "This folder is no git repository (a ZIP download?), and DVC needs one: \
	git init -q && git add -A && git -c user.name=me -c user.email=me@localhost commit -qm Start"; exit 2; }

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
