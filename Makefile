# Everything happens in .venv, which the first command makes; nothing else is needed but Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test check

demo: setup  ## set everything up and run `quick` to its leaderboard
	$(BIN)/memspan run quick

test: setup check  ## set everything up and run lint, types and tests
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

setup: .venv/ready

# torch first and by its own version, so that nothing else chooses one.
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "memspan needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install "$$(grep '^torch==' requirements.lock)"
	$(BIN)/pip install -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@
