# Two commands: `make serve` runs the example on 127.0.0.1:8000, `make test` checks the checkout in under four minutes. The rest
# is for those who work on Whorl.
PYTHON ?= python3
VENV := .venv
# The other interpreters that this machine has: on the PATH, or through pyenv.
OTHERS := $(shell for v in 3.12 3.13 3.14; do for p in python$$v $$HOME/.pyenv/versions/$$v.*/bin/python; do \
	  $$p -c 'import sys; sys.exit(sys.version_info[:2] != tuple(map(int, "'$$v'".split("."))))' 2>/dev/null && echo $$v=$$p && break; done; done; true)
NEWEST := $(or $(lastword $(OTHERS)),$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')=$(PYTHON))
# More processes than two cores: much of what is tested waits. One that is ready takes tests from the others: 198 s instead of 258.
PYTEST := -m pytest -n 6 --dist worksteal -q
# The suite starts Whorl hundreds of times: where bytecode may not be written, each start compiles all of it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve test check lint types coverage suite smoke others compiled fuzz package soak test-windows conformance-ws conformance-tls frameworks docs clean bench bench-compare bench-workers bench-instructions bench-floods

serve: $(VENV)/serve
	$(VENV)/bin/whorl hello:app --app-dir examples

# Side by side: the suite waits much, and lint and smoke compute.
test: $(VENV)/test
	@$(MAKE) --no-print-directory -j3 lint suite smoke
	@echo "make test: everything passed"

# All of it, a quarter of an hour: what continuous integration runs.
check: test types coverage others compiled fuzz package
	@echo "make check: everything passed"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/serve: $(VENV)/bin/python pyproject.toml
	WHORL_COMPILE=0 $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[standard]'
	@touch $@

$(VENV)/test: $(VENV)/bin/python pyproject.toml
	WHORL_COMPILE=0 $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,frameworks]'
	@touch $@ $(VENV)/serve

lint: $(VENV)/test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

# The types of the public names are complete.
types: $(VENV)/test
	$(VENV)/bin/python tools/check_types.py

# What counts imports, starts or memory, or shares memory by fork, is not itself under a tracer: `suite` runs it.
UNTRACED := --ignore tests/frameworks --ignore tests/benchmarks --ignore tests/supervisor/test_preload.py \
	--ignore tests/supervisor/test_program.py --ignore tests/supervisor/test_shared_sockets.py --ignore tests/loops/test_loop_report.py \
	--deselect tests/http1/test_invariants.py::test_a_request_that_was_read_leaves_nothing_behind \
	--deselect tests/websocket/test_limits.py::test_the_beginning_of_a_frame_does_not_hold_all_that_came_before_it \
	--deselect tests/websocket/test_limits.py::test_windows_are_made_when_they_are_needed \
	--deselect tests/config/test_cli.py::test_the_command_line_imports_nothing_heavy_before_it_knows_what_is_asked \
	--deselect tests/config/test_cli.py::test_a_start_imports_nothing_that_it_has_no_use_for
# Lines and branches that the suite runs on asyncio; less than `fail_under` in pyproject.toml is a failure.
coverage: $(VENV)/test
	rm -f .coverage .coverage.*
	TEST_LOOPS=asyncio $(VENV)/bin/coverage run $(PYTEST) $(UNTRACED) --timeout 120
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report

suite: $(VENV)/test
	$(VENV)/bin/python $(PYTEST)

# Every other CPython that is here runs the suite too, on one loop each, so that all of it stays short; the newest of them
# with the compiled modules (`compiled`). What starts many processes or other programs is tested on one interpreter.
ELSEWHERE := --ignore tests/frameworks --ignore tests/supervisor --ignore tests/reload \
	--ignore tests/server/test_browser.py --ignore tests/server/test_gunicorn.py --ignore tests/server/test_behind_proxies.py \
	--ignore tests/tls/test_behind_proxies.py
others: $(VENV)/test
	@for entry in $(filter-out $(NEWEST),$(OTHERS)); do \
	  version=$${entry%%=*}; python=$${entry#*=}; venv=.venv-$$version; \
	  $(VENV)/bin/python -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] == "'$$version'")' || continue; \
	  echo "== CPython $$version"; \
	  [ -x $$venv/bin/python ] || $$python -m venv $$venv || exit 1; \
	  [ $$venv/test -nt pyproject.toml ] || { WHORL_COMPILE=0 $$venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]' && touch $$venv/test; } || exit 1; \
	  TEST_LOOPS=asyncio $$venv/bin/python $(PYTEST) $(ELSEWHERE) || exit 1; \
	done

# The build with compiled modules, in an environment of its own. tests/test_compiled.py fails if it runs pure.
compiled: $(VENV)/test
	@entry=$(NEWEST); version=$${entry%%=*}; python=$${entry#*=}; venv=.venv-$$version-compiled; \
	$$python -c 'import os, sysconfig; open(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null && command -v cc >/dev/null \
	  || { echo "== NOT CHECKED: the compiled modules, for want of a C compiler or Python.h"; exit 0; }; \
	echo "== CPython $$version, compiled"; \
	[ -x $$venv/bin/python ] || $$python -m venv $$venv || exit 1; \
	[ -e $$venv/test ] && [ -z "$$(find src tools pyproject.toml -newer $$venv/test -type f -not -name '*.pyc' -print -quit)" ] || { \
	  $$venv/bin/python -m pip uninstall --quiet --yes whorl && WHORL_COMPILE=1 $$venv/bin/python -m pip install --quiet \
	    --disable-pip-version-check '.[test]' && touch $$venv/test; } || exit 1; \
	WHORL_COMPILE=1 TEST_LOOPS=uvloop $$venv/bin/python $(PYTEST) $(ELSEWHERE)

fuzz: $(VENV)/test
	$(VENV)/bin/python -m tests.http1.fuzz --seconds 20
	$(VENV)/bin/python -m tests.websocket.fuzz --seconds 10

# The pure wheel alone, without extras: a part of `package`.
smoke: $(VENV)/test
	$(VENV)/bin/python tools/check_package.py --smoke

# What is installed from the wheels, pure and compiled, with and without extras, must serve; the checkout is not looked at.
package: $(VENV)/test
	$(VENV)/bin/python tools/check_package.py

# The long runs: hours of clients in a few minutes.
soak: $(VENV)/test
	WHORL_TEST_SOAK=1 $(VENV)/bin/python $(PYTEST) -rP --timeout 1800 tests/server tests/supervisor tests/http1 \
		tests/tls/test_fuzz.py tests/tls/test_renewal.py tests/tls/test_floods.py

test-windows: $(VENV)/test
	$(VENV)/bin/python -m pytest -q tests/windows --timeout 600

# Six frameworks by gunicorn's suite, on each loop; see conformance/README.md.
frameworks: $(VENV)/test
	$(VENV)/bin/python conformance/frameworks.py --loops asyncio,uvloop,rloop:new_event_loop

# Autobahn's suite against the WebSocket of both loops; needs Python 2.7. GROUPS=core,limits takes two minutes, all of it an hour.
GROUPS ?= core,limits,deflate
conformance-ws: $(VENV)/test
	$(VENV)/bin/python -m conformance.websocket --groups $(GROUPS)

# sslyze and testssl.sh against the TLS of each loop, four minutes; see conformance/README.md.
conformance-tls: $(VENV)/test
	$(VENV)/bin/python -m conformance.tls

# docs/settings.md is written from the settings themselves.
docs: $(VENV)/test
	$(VENV)/bin/python -m whorl.config.describe docs/settings.md

# What follows measures: benchmarks/README.md. It has environments of its own, with the other servers in them.
# `make bench ROWS=hello,echo` measures a part, ROUNDS= and SECONDS= how often and how long, PYTHON= on which Python.
bench:
	@python=$$(python3 -m benchmarks.install peers) && SECONDS='$(SECONDS)' $$python -m benchmarks

# This checkout beside an earlier commit: for every change to what runs for each request. LOOP=asyncio: on another loop.
bench-compare:
	@python=$$(python3 -m benchmarks.install peers) && SECONDS='$(SECONDS)' $$python -m benchmarks.compare

# One worker beside two, and one queue for new connections beside a queue for each. On a quiet machine. LOOP=asyncio: on another loop.
bench-workers:
	@python=$$(python3 -m benchmarks.install peers) && SECONDS='$(SECONDS)' $$python -m benchmarks.workers

# How long others wait while some clients flood the server, beside Uvicorn; a minute. LOOP=asyncio: on another loop.
bench-floods:
	@python=$$(python3 -m benchmarks.install peers) && SECONDS='$(SECONDS)' $$python -m benchmarks.floods

# Instructions for 2,000 requests, counted by callgrind: they repeat to the digit. BASE=: beside an earlier commit.
bench-instructions:
	@python=$$(python3 -m benchmarks.install valgrind) && $$python -m benchmarks.instructions

clean:
	rm -rf .coverage .coverage.* .venv .venv-* .frameworks .sslyze dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
