# Every target sets up .venv/ by itself. Paths are relative: the checkout may lie under a name with a space.

PYTHON ?=
export PYTHON

VENV_PYTHON := .venv/bin/python
PIP_INSTALL := $(VENV_PYTHON) -m pip install -qq --disable-pip-version-check
RUNTIME := .venv/.ready-run
READY := .venv/.ready
AUDITING := .venv/audit
SOURCES := $(wildcard src tests examples bench tools)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check fix vendor reference docs test-long screenshots histories coverage bench soak steady wheel audit sbom clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: $(RUNTIME) ## Set up, serve examples/ with a demo; PORT=8787 chooses the port
	@$(VENV_PYTHON) tools/demo.py

# The processes of the tests read what one of them has compiled, also where the environment says that none is to keep it.
test test-long: export PYTHONDONTWRITEBYTECODE :=

# Two processes more than there are cores: some tests wait for a server, and each process more collects all of them.
# What takes longest begins first, as tests/conftest.py says, and what is quick fills the gaps at the end.
test: $(READY) ## Run the tests (under 6 minutes)
	$(VENV_PYTHON) -m pytest -q -n $$($(VENV_PYTHON) -c "import os; print((os.cpu_count() or 1) + 2)") --dist loadfile --no-loadscope-reorder

check: $(READY) ## Check format, lint, types and import rules
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m mypy $(SOURCES)
	.venv/bin/lint-imports --no-logo

fix: $(READY) ## Format, and repair what lint can repair
	$(VENV_PYTHON) -m ruff check --fix-only .
	$(VENV_PYTHON) -m ruff format .

vendor: $(READY) ## Bring the dashboard's libraries (needs npm), and check them
	$(VENV_PYTHON) tools/vendor.py

reference: $(READY) ## Write docs/reference and docs/internals.md from the code, and docs/llms.txt from the docs
	$(VENV_PYTHON) -m tools.cli_reference
	$(VENV_PYTHON) -m tools.client_reference
	$(VENV_PYTHON) -m tools.python_reference
	$(VENV_PYTHON) -m tools.http_reference
	$(VENV_PYTHON) -m tools.errors_reference
	$(VENV_PYTHON) -m tools.limits_reference
	$(VENV_PYTHON) -m tools.life
	$(VENV_PYTHON) -m tools.metrics_reference
	$(VENV_PYTHON) -m tools.log_reference
	$(VENV_PYTHON) -m tools.grafana_board
	$(VENV_PYTHON) -m tools.internals
	$(VENV_PYTHON) -m tools.llms

docs: $(READY) ## Build the docs into site/, which needs no server and no network; broken links fail
	$(VENV_PYTHON) -m tools.docs_site site

test-long: $(READY) ## Run the tests that take minutes
	$(VENV_PYTHON) -m pytest -q -m long

screenshots: $(READY) ## Take pictures of the dashboard's screens into .screenshots/ (needs Chromium)
	$(VENV_PYTHON) -m tests.dashboard.screenshots

histories: $(READY) ## Keep histories of this version for later ones to replay; once a release
	$(VENV_PYTHON) -m tests.histories.keep

coverage: $(READY) ## Run the tests and report which lines they reach
	$(VENV_PYTHON) -m coverage run -m pytest -q
	@$(VENV_PYTHON) -m coverage combine --quiet
	@$(VENV_PYTHON) -m coverage report

bench: $(READY) ## Measure Stepwell, this machine and other engines, in turn; BENCH=--short for 5 minutes
	$(VENV_PYTHON) -m bench $(BENCH)

soak: $(READY) ## Do everything to servers that a machine can do, for a minute; SOAK="--seconds 3600" for an hour
	$(VENV_PYTHON) -m tests.soak $(SOAK)

steady: $(READY) ## See that an hour under steady load leaves all as it was; STEADY="--minutes 10" is shorter
	$(VENV_PYTHON) -m tests.soak.steady $(STEADY)

wheel: $(READY) ## Build the wheel into dist/
	$(VENV_PYTHON) -m build --wheel --outdir dist

audit: $(AUDITING)/.ready ## Look up what is known to be wrong with what Stepwell runs on and is made with (asks PyPI)
	$(AUDITING)/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

sbom: $(AUDITING)/.ready ## Write dist/sbom.cdx.json: what a server with all extras is made of
	$(VENV_PYTHON) -m venv --clear .venv/served
	.venv/served/bin/python -m pip install -qq --disable-pip-version-check ".[postgres,encryption]" -c constraints.txt
	.venv/served/bin/python -m pip uninstall -qq --disable-pip-version-check --yes pip setuptools
	mkdir -p dist
	$(AUDITING)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o dist/sbom.cdx.json .venv/served/bin/python

clean: ## Remove .venv/, dist/ and caches (never .stepwell/, your data)
	rm -rf .venv dist site .screenshots .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*
	find src tests examples bench tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV_PYTHON):
	@python=$$(sh tools/find-python) && echo "Setting up .venv/ with $$python (once, about a minute)" \
		&& "$$python" -m venv --clear .venv

# Apart from what is audited, which they would add to.
$(AUDITING)/.ready: | $(VENV_PYTHON)
	@$(VENV_PYTHON) -m venv --clear $(AUDITING)
	@$(AUDITING)/bin/python -m pip install -qq --disable-pip-version-check pip-audit==2.10.1 cyclonedx-bom==7.5.0
	@touch $@

$(RUNTIME): pyproject.toml constraints.txt | $(VENV_PYTHON)
	@$(PIP_INSTALL) --upgrade pip
	@$(PIP_INSTALL) -e . -c constraints.txt
	@touch $(RUNTIME)

$(READY): pyproject.toml constraints.txt | $(VENV_PYTHON)
	@$(PIP_INSTALL) --upgrade pip
	@$(PIP_INSTALL) -e ".[dev]" -c constraints.txt
	@touch $(RUNTIME) $(READY)
