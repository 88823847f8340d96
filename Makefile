# `make run` shows the system at work, `make test` proves it. Both install what they need into .venv.

PYTHON ?= python3
BIN := .venv/bin
ROOMS := shared smtp-ingress connector cli
LOCK := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate --no-header

.PHONY: run test lint format lock bench isolation fuzz corpus-report spam-report debian-tools clean

run: .venv/run.stamp
	@$(BIN)/mailchute demo

# Two at once share two cores with dozens of servers: what fails then is asked once more, alone, and must pass.
test: .venv/dev.stamp debian-tools
	$(BIN)/python -m pytest -n 2 --dist loadfile || { \
		echo "--- what failed is asked once more, alone: look at each, also where it passes now ---"; \
		$(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 5; }

lint: .venv/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/dev.stamp
	$(BIN)/python -m bench.run

isolation: .venv/dev.stamp
	$(BIN)/python -m bench.isolation

fuzz: .venv/dev.stamp
	$(BIN)/python -m bench.fuzz

corpus-report: .venv/dev.stamp
	$(BIN)/python -m bench.corpus_report

spam-report: .venv/dev.stamp
	$(BIN)/python -m bench.spam_report

# --- installing -------------------------------------------------------------------------------

.venv/uv.stamp: requirements/tools.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "installing into .venv (once; a minute or less)"
	@$(PYTHON) -m venv .venv || { echo "on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.lock
	@touch $@

.venv/run.stamp: .venv/uv.stamp requirements/runtime.lock requirements/embedded.lock $(ROOMS:%=%/pyproject.toml)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/runtime.lock -r requirements/embedded.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps $(ROOMS:%=-e %)
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	@touch $@

# Some tests use Debian's swaks, Postfix, Rspamd and ClamAV where they are, and skip where they are not. They
# are only fetched in a container (no systemd) where we are root; failing to fetch them fails nothing.
DEBIAN := swaks postfix rspamd clamav-daemon
debian-tools:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ ! -d /run/systemd/system ] \
		&& ! { command -v swaks && command -v postfix && command -v rspamd && command -v clamd; } >/dev/null; then \
		policy=/usr/sbin/policy-rc.d; \
		[ -e $$policy ] && policy= || { printf '#!/bin/sh\nexit 101\n' > $$policy && chmod 755 $$policy; }; \
		{ timeout 60 apt-get update && timeout 120 env DEBIAN_FRONTEND=noninteractive \
			apt-get install --yes --no-install-recommends $(DEBIAN); } >/dev/null 2>&1 \
			|| echo "no $(DEBIAN) from apt: the tests that use them skip"; \
		[ -z "$$policy" ] || rm -f $$policy; \
	fi

# --- what the locks are made from: requirements/*.in and functions/*/requirements.in ------------

lock: .venv/uv.stamp
	$(LOCK) requirements/tools.in -o requirements/tools.lock
	$(LOCK) requirements/runtime.in -o requirements/runtime.lock
	$(LOCK) requirements/embedded.in -c requirements/runtime.lock -o requirements/embedded.lock
	$(LOCK) requirements/dev.in -c requirements/runtime.lock -c requirements/embedded.lock -o requirements/dev.lock
	$(LOCK) template/python3-mailchute/requirements.in -c requirements/runtime.lock -o template/python3-mailchute/requirements.txt
	for each in functions/*/requirements.in; do $(LOCK) $$each -c requirements/runtime.lock -o $${each%.in}.txt || exit 1; done

clean:
	rm -rf .venv .mailchute build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
