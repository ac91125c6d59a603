PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
OUT := out/demo
# Processes that share the tests, one thread each; each takes about 1 GB of memory.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
# Files go to the processes in their order: by number of tests, those with one long test would come last, one process idle.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --maxprocesses 8 --dist loadfile \
	--no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format docs clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(VENV)/installed ## evaluate the built-in model on the built-in data and print the table
	rm -rf $(OUT)
	$(BIN)/lmms-eval --model finer_hf --model_args pretrained=finer-mini --tasks finer_mini \
		--batch_size 32 --log_samples --output_path $(OUT)
	$(BIN)/finer results $(OUT) --reasons

test: $(VENV)/installed ## run the fast tests
	$(PYTEST) -m "not slow and not gpu"

test-all: $(VENV)/installed ## run all tests, with simulations, all architectures and the long runs
	$(PYTEST)

lint: $(VENV)/installed ## check style, types, and which part imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy finer_tasks
	$(BIN)/lint-imports --no-cache --no-logo

format: $(VENV)/installed ## bring the code into the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/installed ## build the guides as a site in site/, without dead links
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --editable ".[dev]"
	touch $@

clean: ## remove what was installed and built
	rm -rf $(VENV) out build site *.egg-info
