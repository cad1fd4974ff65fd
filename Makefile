# Needs Python 3.11, make and git; all else is set up here, in .venv. `make help` lists the targets.

VENV ?= .venv
STORE ?= store
PORT ?= 8501
ARGS ?=
PROCESSES ?= 3

PYTHON := $(VENV)/bin/python
RUNTIME := $(VENV)/runtime.stamp
TESTING := $(VENV)/testing.stamp
PIP_INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check
# Tests wait for the disk at every block and table: they write to memory where it has 4 GB of room.
# They also share what is compiled, even where Python was told to keep none.
TEMPORARY := $(shell df -m /dev/shm 2>/dev/null | awk '$$6 == "/dev/shm" && $$4 > 4000 { print $$6 }')
IS_3_11 := import sys; sys.exit(sys.version_info[:2] != (3, 11))

# The demo and the tests use no network, and nothing here reports to anybody.
export HF_HUB_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help demo train-demo test lint format browser clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME)  ## set up, build the demo into STORE if absent, open the app on PORT
	@$(PYTHON) -m featurestore.demo build --store $(STORE)
	@$(PYTHON) -m app $(STORE) --port $(PORT) --open

train-demo: $(RUNTIME)  ## train the demo's models and dictionaries anew (long; the results are tracked)
	@$(PYTHON) -m featurestore.demo train

test: lint browser  ## set up, lint, run every test in PROCESSES (ARGS="-k store" goes to pytest)
	@PYTHONDONTWRITEBYTECODE= PYTEST_DEBUG_TEMPROOT=$(TEMPORARY) $(PYTHON) -m pytest \
	    --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(TESTING)  ## check style and format
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --quiet --check .

format: $(TESTING)  ## mend style and format where ruff can
	@$(PYTHON) -m ruff check --quiet --fix .
	@$(PYTHON) -m ruff format --quiet .

# The browser tests take the first Chromium on PATH, else Playwright's own.
browser: $(TESTING)  ## make sure that there is a Chromium
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chromium" \
	     && apt-get update -qq \
	     && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	|| $(PYTHON) -m playwright install chromium

clean:  ## remove .venv and caches; the store stays, it may hold annotations
	@rm -rf $(VENV) .pytest_cache .ruff_cache
	@find app featurestore pages tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# A stamp is younger than the requirements that it stands for, so a second run starts at once.
$(RUNTIME): requirements.txt
	@$(PYTHON) -c 'import pip; $(IS_3_11)' 2>/dev/null || { \
	    for python in python3.11 python3 python; do \
	        $$python -c '$(IS_3_11)' 2>/dev/null && break; \
	        python=; \
	    done; \
	    [ "$$python" ] || { echo "Python 3.11 was not found: install it, with its venv module, and put python3.11 on PATH." >&2; exit 1; }; \
	    $$python -m venv --clear $(VENV); \
	}
	@echo "Installing requirements.txt into $(VENV) (minutes, once)"
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(TESTING): requirements-test.txt $(RUNTIME)
	@echo "Installing requirements-test.txt into $(VENV)"
	@$(PIP_INSTALL) -r requirements-test.txt
	@touch $@
