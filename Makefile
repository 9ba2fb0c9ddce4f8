# The verbs of this project. On a fresh clone with Python 3.11+ and make: `make run` and `make test`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
HOST   ?= 127.0.0.1
PORT   ?= 8000
CONFIG ?= config
DATABASE ?= sqlite
FUZZ_SECONDS ?= 600
# Each process begins with a half of its own, so that what a file of tests needs is made once, and helps the other one in the end.
TESTS := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist worksteal
# The compiled words of pages and mails: what the program reads.
WORDS := feeds/locale/zh_CN/LC_MESSAGES/feeds.mo

# The demo's readers and their first digests, once, into var/maildir: only where nothing of one's own is at stake.
DEMO_MAIL = if [ -z "$$FEEDS_STORE$$FEEDS_SMTP_URL$$FEEDS_DATABASE_URL" ] && [ "$(CONFIG)" = config ] && [ ! -e var/.demo-mail ] && \
	grep -q '^store: demo/articles' config/site.yaml && grep -q '^transport: maildir' config/newsletter.yaml; then \
	$(BIN)/feeds subscribers import demo/readers.csv --config $(CONFIG) && \
	$(BIN)/feeds digest send --now 2025-01-01T08:00:00+08:00 --config $(CONFIG) >/dev/null && \
	$(BIN)/feeds digest send --now 2026-11-02T00:00:00+08:00 --config $(CONFIG) && touch var/.demo-mail; fi

.PHONY: help run test test-fast fuzz audit advisories lint format types bench faults interop pictures reference rendering docs lock dist clean

help:             ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: [^#]*## /\t/' | expand -t 14

run: $(VENV)/.run $(WORDS) ## set up, rescan the store, serve on http://127.0.0.1:8000  (FEEDS_STORE=DIR make run)
	$(BIN)/feeds rescan --config $(CONFIG)
	@$(DEMO_MAIL)
	$(BIN)/feeds serve --config $(CONFIG) --host $(HOST) --port $(PORT)

test: $(VENV)/.dev ## set up and run the whole suite  (DATABASE=postgresql make test: all sites on PostgreSQL)
	$(TESTS) --database=$(DATABASE)

test-fast: $(VENV)/.dev ## the suite without readers and browsers from outside
	$(TESTS) -m "not interop" --database=$(DATABASE)

fuzz: $(VENV)/.dev ## hostile input for ten minutes, other examples each time  (FUZZ_SECONDS=3600 make fuzz)
	@end=$$(( $$(date +%s) + $(FUZZ_SECONDS) )); while [ $$(date +%s) -lt $$end ]; do \
		FEEDS_FUZZ_EXAMPLES=1000 $(BIN)/pytest -q -n auto tests/fuzz || exit 1; done
	FEEDS_FUZZ_EXAMPLES=1 FEEDS_FUZZ_BOMB_BYTES=1048576 $(BIN)/pytest -q tests/hostile

audit: $(VENV)/.dev ## dependencies: pinned, complete, known, under licences that go together
	$(BIN)/pip check
	$(BIN)/pytest -q tests/test_dependencies.py tests/test_reference.py

advisories: $(VENV)/.dev ## known vulnerabilities of every pinned version (needs the internet)
	$(BIN)/uv tool run pip-audit --require-hashes --disable-pip -r requirements.lock

lint: $(VENV)/.dev ## ruff, and mypy in strict mode
	$(BIN)/ruff check feeds tests benchmarks tools examples
	$(BIN)/ruff format --check feeds tests benchmarks tools examples
	$(BIN)/mypy

format: $(VENV)/.dev ## rewrite the code in the project's format
	$(BIN)/ruff check --fix feeds tests benchmarks tools examples
	$(BIN)/ruff format feeds tests benchmarks tools examples

bench: $(VENV)/.dev ## every promised figure beside its bound, and docs/benchmarks.md again (wants hugo, nginx, wrk, postfix)
	$(BIN)/python -m benchmarks --write docs/benchmarks.md

faults: $(VENV)/.dev ## regenerate docs/reliability.md: 100 rounds of kills, and every other fault (ten minutes; root, to mount disks)
	FEEDS_FAULT_ROUNDS=$${FEEDS_FAULT_ROUNDS:-100} $(BIN)/pytest -m fault -p tests.faults.writing --write-reliability docs/reliability.md

interop: $(VENV)/.dev ## what readers show of our feeds: regenerate docs/interoperability.md (wants newsboat, rss2email, sfeed, curl, node, npm)
	$(BIN)/python -m tests.interop.interoperability --write docs/interoperability.md

pictures: $(VENV)/.dev ## regenerate docs/pictures/, from a running demo (wants chromium)
	$(BIN)/python -m tests.browser.pictures

reference: $(VENV)/.dev ## regenerate docs/reference/ from the code
	$(BIN)/python -m tools.reference

rendering: $(VENV)/.dev ## record that the sources of feeds write the golden documents, so that ETags stay
	$(BIN)/python -m tools.rendering

docs: $(VENV)/.dev ## the documentation as a site, in var/docs
	$(BIN)/python -m tools.site var/docs

lock: $(VENV)/.dev ## resolve the dependencies again
	$(BIN)/uv pip compile pyproject.toml --extra scale --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra scale --group dev --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements-dev.lock

dist: $(VENV)/.dev ## the wheel and the source archive
	$(BIN)/python -m build

clean:            ## remove what the verbs made
	rm -rf $(VENV) dist build var .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit("feeds needs Python 3.11 or newer; this is %d.%d (PYTHON=python3.12 make ...)" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.python requirements.lock pyproject.toml
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock | $(WORDS)
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

$(WORDS): $(WORDS:.mo=.po) | $(VENV)/.run
	$(BIN)/pybabel --quiet compile --directory feeds/locale --domain feeds
