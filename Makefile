# Two commands matter: `make demo` runs the product, `make test` passes everything.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt

.PHONY: demo test check audit audit-known lint unit test-slow bench install chromium clean

demo: $(VENV)/.demo
	$(BIN)/monitor demo $(DEMO_ARGS)

test: check unit

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) -s audit-known

# Known vulnerabilities of what is installed, as far as the service on the network tells: `check` works offline too.
UNKNOWN := Not all packages were audited, since the service does not answer for them; 'make audit' says which.
AUDIT   := PYTHONPATH=$(VENV)/pip-audit $(BIN)/python -m pip_audit --no-deps --disable-pip -r $(VENV)/audited.txt
audit-known:
	@[ -d $(VENV)/pip-audit ] || $(PIP) --target $(VENV)/pip-audit pip-audit || true
	@$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/audited.txt
	@said=$$($(AUDIT) 2>&1); case "$$said" in \
	  *"Found "*"known vulnerabilit"*) echo "$$said"; exit 1 ;; \
	  *"could not be audited"*) echo "$(UNKNOWN)" ;; \
	  *"No known vulnerabilities found"*) ;; \
	  *) echo "$(UNKNOWN)" ;; \
	esac

# The same, strictly: it fails where the service does not know a package, for else an audit of nothing would pass.
audit: $(VENV)/.dev
	$(PIP) --target $(VENV)/pip-audit pip-audit
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/audited.txt
	@$(AUDIT) --strict || \
	  { echo "The audit failed: a package is vulnerable, or the service could not be asked (offline, it never can)."; exit 1; }

unit: $(VENV)/.dev chromium
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" --durations 12

test-slow: $(VENV)/.integrations chromium
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow --durations 12

bench: $(VENV)/.dev
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

install: $(VENV)/.dev

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) (a few minutes the first time)"
	$(PIP) -e ".[demo]"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) with the development extra (a few minutes the first time)"
	$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/.demo

$(VENV)/.integrations: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) with the frameworks that have an integration"
	$(PIP) -e ".[dev,integrations]"
	@touch $@ $(VENV)/.dev $(VENV)/.demo

# The browser tests drive Chromium: Debian's where apt and root are at hand; elsewhere the tests say what to install.
chromium: $(VENV)/.dev
	@if command -v chromium chromium-browser google-chrome >/dev/null 2>&1; then :; \
	elif command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ]; then \
	  echo "Installing Chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	elif ls "$$HOME"/.cache/ms-playwright/chromium* >/dev/null 2>&1; then :; \
	else echo "No Chromium: run '$(BIN)/playwright install chromium' for the browser tests"; fi

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
