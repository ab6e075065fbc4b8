# Two commands do everything: `make export` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
OUTPUT ?= artifacts

.PHONY: export test

# The main job: the bundled weights to int8 artifacts for three runtimes.
export: $(VENV)/.installed
	$(VENV)/bin/sqsam-export --int8 --output $(OUTPUT)

# Lint, types and tests.
test: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@
