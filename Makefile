# Two commands do everything: `make export` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
OUTPUT ?= artifacts
WEIGHTS ?= paper
# Each worker takes whole files, in the order of tests/conftest.py.
PYTEST = $(VENV)/bin/pytest -n auto --dist loadfile --no-loadscope-reorder
# Modules are compiled when they are first imported: most of what torch installs never is. That they
# are kept so is not left to the environment: each command would compile torch again.
unexport PYTHONDONTWRITEBYTECODE
PIP = $(VENV)/bin/pip install --quiet --no-compile --constraint constraints.txt
# A pip that came with Python can be years old, and takes a minute longer.
CREATE = $(PYTHON) -m venv $(VENV) && $(PIP) --upgrade pip

.PHONY: export test quick checks style types tests quick-tests fuzz wheel docs

# The main job: bundled weights to int8 artifacts for three runtimes. WEIGHTS=nano is the first try.
export: $(VENV)/.installed
	@echo "building $(WEIGHTS): about two minutes for paper, 40 seconds for nano, on 2 idle cores"
	$(VENV)/bin/sqsam-export --checkpoint $(WEIGHTS) --int8 --output $(OUTPUT)

# Lint, types, the order of the packages, all tests. Types are one process: tests begin beside it.
test: style
	$(MAKE) --jobs 2 types tests

# Is a change sane? Two minutes: everything but the tests that export, train or start servers.
quick: style
	$(MAKE) --jobs 2 types quick-tests

tests:
	$(PYTEST)

quick-tests:
	$(PYTEST) -m "not slow and not full"

# Changed files for every reader, for as long as it is told: make fuzz SECONDS=3600
SECONDS ?= 600
fuzz: $(VENV)/.installed-dev
	$(VENV)/bin/python -m tests.fuzz --seconds $(SECONDS)

# The file that others install: dist/sqsam_deploy-VERSION-py3-none-any.whl.
wheel: $(VENV)/.installed
	$(VENV)/bin/pip wheel --quiet --no-deps --wheel-dir dist .

# The documents as a site, links checked, without a network: build/site/index.html.
docs: $(VENV)/.installed-dev
	$(VENV)/bin/python docs/site.py

checks: style types

style: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/lint-imports

types: $(VENV)/.installed-dev
	$(VENV)/bin/mypy

$(VENV)/.installed: pyproject.toml constraints.txt
	$(CREATE)
	$(PIP) --editable .
	touch $@

# With what developers need, in one go: it is installed for users then, too. First all that is
# pinned, in two processes that resolve nothing; the last command sees to what this system lacks.
$(VENV)/.installed-dev: pyproject.toml constraints.txt
	$(CREATE)
	-xargs -n 104 -P 2 $(PIP) --no-deps <constraints.txt
	$(PIP) --editable ".[dev]"
	touch $(VENV)/.installed $@
