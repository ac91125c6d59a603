# make demo: install and evaluate the built-in model on the built-in data. make test: install and test.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
OUT := out/demo

.PHONY: demo test lint format clean

demo: $(VENV)/installed
	rm -rf $(OUT)
	$(BIN)/lmms-eval --model finer_hf --model_args pretrained=finer-mini --tasks finer_mini \
		--batch_size 32 --log_samples --output_path $(OUT)
	$(BIN)/finer results $(OUT) --reasons

test: $(VENV)/installed
	$(BIN)/python -m pytest

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy finer_tasks training

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) out build *.egg-info
