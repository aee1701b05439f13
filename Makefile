# Everything a developer does. Needs Python 3.11 or later and make; the rest goes into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV_PYTHON := .venv/bin/python
PYTEST := $(VENV_PYTHON) -m pytest
PACKAGES := portal authserver dcr federation registry protocol
UV_VERSION := 0.13.9

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help run test test-services fuzz-api lint format bench bench-pages e2e requirements clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.base-installed ## serve on http://127.0.0.1:8000 with demo data; PORT=8001 and CREDENCE_DATA_DIR=... change that
	@$(VENV_PYTHON) manage.py run

test: .venv/.dev-installed ## the tests that need nothing but this folder; ARGS="-k word" is passed on
	$(PYTEST) -m "not browser and not foreign and not services" -n 2 $(ARGS)

test-services: .venv/.dev-installed ## the tests on PostgreSQL and Redis, started for this run; not those of protocol, which knows neither
	.ci/services install
	.ci/services with $(PYTEST) -m "not browser and not foreign" --ignore=tests/protocol -n 2 $(ARGS)

fuzz-api: .venv/.dev-installed ## many more requests made from the OpenAPI document; FUZZ_EXAMPLES=20000 says how many
	.ci/services install
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-20000} .ci/services with $(PYTEST) -n 2 tests/portal/api/test_fuzz.py $(ARGS)

e2e: .venv/.dev-installed ## the tests with a browser or a foreign implementation
	.ci/services install-browser
	@$(PYTEST) -m "browser or foreign" -rs $(ARGS) || { code=$$?; \
	  if [ $$code -eq 5 ]; then echo "e2e: THERE ARE NO BROWSER OR FOREIGN TESTS, so none ran."; else exit $$code; fi; }

lint: .venv/.dev-installed ## every static check
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy manage.py $(PACKAGES)
	$(VENV_PYTHON) -m mypy --config-file= --strict protocol federation/core
	$(VENV_PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"
	$(VENV_PYTHON) manage.py check --fail-level WARNING
	$(VENV_PYTHON) manage.py makemigrations --check --dry-run

format: .venv/.dev-installed ## repair what ruff can repair
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

bench: .venv/.dev-installed ## run every benchmark and print its numbers
	@for file in benchmarks/[a-z]*.py; do \
	  [ -e "$$file" ] || { echo "There are no benchmarks yet."; break; }; \
	  echo "== $$file"; PYTHONPATH=. $(VENV_PYTHON) "$$file" || exit 1; done

bench-pages: .venv/.dev-installed ## every page with 10,000 clients and a million audit rows; ARGS="--check" fails above the limits
	PYTHONPATH=. $(VENV_PYTHON) benchmarks/pages.py $(ARGS)

requirements: build/uv/bin/uv ## compile requirements/*.in into locks with hashes; ARGS=--upgrade takes the newest versions
	for name in base dev; do build/uv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header $(ARGS) --output-file requirements/$$name.txt requirements/$$name.in || exit 1; done

clean: ## remove what was built; var/ with your data stays
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than what it stands for, so a second `make run` installs nothing.
.venv/.base-installed: requirements/base.txt | $(VENV_PYTHON)
	$(VENV_PYTHON) -m pip install --quiet --require-hashes -r requirements/base.txt
	@touch $@

.venv/.dev-installed: requirements/dev.txt .venv/.base-installed
	$(VENV_PYTHON) -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV_PYTHON):
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or later is needed and none was found. Set PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "Python 3.11 or later is needed; $(PYTHON) is older. Set PYTHON=/path/to/python3.11."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
	  "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv

build/uv/bin/uv: | $(VENV_PYTHON)
	$(VENV_PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv==$(UV_VERSION)
