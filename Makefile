# Two commands do everything on a fresh machine with Python 3.11+ and make:  make demo   make test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= reports/demo

.PHONY: demo test quick lint types imports check-style wheel smoke clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo    train a small model on embedded data, audit it, say where the report is"
	@echo "make test    set up and run the whole test suite"
	@echo "make quick   the tests that take milliseconds to seconds"
	@echo "make lint    ruff, pyright, import-linter"
	@echo "make smoke   build the wheel and run it from another folder"

$(VENV)/.run: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[onnx]"
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[onnx,test]"
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/python examples/digits/demo.py $(DEMO)

test: $(VENV)/.test
	$(BIN)/python -m pytest $(ARGS)

quick: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

wheel: $(VENV)/.test
	@rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

smoke: wheel
	PYTHON=$(abspath $(BIN)/python) WHEEL="$$(ls $(CURDIR)/dist/*.whl)" bash .ci/smoke

clean:
	rm -rf $(VENV) dist reports .auditor .pytest_cache .ruff_cache .hypothesis
