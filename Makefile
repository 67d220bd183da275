# Scheduled inventory updates. `make` lists what there is to do.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# For `make run`: files of your own, for example make run STOCK=stock.csv CHANGES=changes.csv
STOCK ?=
CHANGES ?=
# For `make deploy`: dev, staging or prod
ENV ?= dev
# For taskcat: some of the regions and parameter sets of .taskcat.yml, with commas between them
REGIONS ?= ALL
TEST ?= ALL
# For `make faults`: how long, which campaign to repeat, what to break in the product, which engine (both without it)
FAULTS_MINUTES ?= 10
SEED ?=
BREAK ?=
ENGINE ?=
# For `make bench`: some of the comparisons, with commas between them
ONLY ?=
# For the tests: more arguments for pytest, and the marks that `make test-all` is limited to
PYTEST_ARGS ?=
MARKS ?=
# For `make pins`: more arguments for `uv pip compile`
PINS_ARGS ?=

# Tools are called through Python: a path with spaces breaks the first line of some scripts in .venv/bin.
BIN := .venv/bin
# What is in .venv: each layer on top of the one before.
FOR_RUNNING := .venv/.run
FOR_TESTS := .venv/.test
FOR_LINTING := .venv/.lint
INSTALL := -m pip --quiet --disable-pip-version-check install --require-hashes --requirement
# taskcat itself imports what setuptools calls deprecated.
TASKCAT_PYTHON := PYTHONWARNINGS="ignore:pkg_resources is deprecated:UserWarning" ../.venv-taskcat/bin/python
DYNAMODB_LOCAL := .local/dynamodb-local
LOCAL_STACK := inventory-updater-local
# The longest modules come first by their names; ordered by their number of tests they would come last, and alone.
# One worker more than there are cores, since all of them wait for engines now and then.
PYTEST := $(BIN)/python -m pytest --numprocesses $(shell expr $$(nproc) + 1) --dist loadscope --no-loadscope-reorder
# `venv --clear` follows a symbolic link.
REFUSE_LINK = @if [ -L $(@D) ]; then \
  echo "$(@D) is a symbolic link, and setting it up would empty the directory behind it: remove the link first." >&2; \
  exit 1; fi
# The package is used from the checkout: a .pth file makes every Python of a virtual environment find it.
USE_CHECKOUT = @echo "$(CURDIR)/src" \
  > "$$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/inventory_updater.pth"
define MAKE_VENV_BESIDE
$(REFUSE_LINK)
@echo "Setting up $(@D) ..."
@$(BIN)/python -m venv --clear $(@D)
@$(@D)/bin/python $(INSTALL) $<
$(USE_CHECKOUT)
@touch $@
endef

ifeq ($(STOCK)$(CHANGES),)
  RUN_STOCK := build/sample/stock.csv
  RUN_CHANGES := build/sample/changes.csv
  RUN_DELIVERY := build/sample/delivery.csv
else
  RUN_STOCK := $(STOCK)
  RUN_CHANGES := $(CHANGES)
  RUN_DELIVERY := $(CHANGES)
endif

.PHONY: help
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(FOR_LINTING)  ## Make .venv with everything that scripts, tests and linters need

$(FOR_RUNNING): requirements/run.txt
	$(REFUSE_LINK)
	@python=""; \
	for candidate in python3 python3.13 python3.12 python3.11; do \
	  if $$candidate -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "This needs Python 3.11 or later with its modules venv and ensurepip: no python3 here has them." >&2; \
	  exit 1; \
	fi; \
	echo "Setting up .venv with $$($$python --version) ..."; \
	$$python -m venv --clear .venv
	@$(BIN)/python $(INSTALL) $<
	$(USE_CHECKOUT)
	@touch $@

$(FOR_TESTS): requirements/test.txt $(FOR_RUNNING)
$(FOR_LINTING): requirements/lint.txt $(FOR_TESTS)
$(FOR_TESTS) $(FOR_LINTING):
	@echo "Adding $< ..."
	@$(BIN)/python $(INSTALL) $<
	@touch $@

# The layers of .venv first: each keeps to the pins of the one before.
.PHONY: pins
pins: $(FOR_RUNNING)  ## Compile requirements/*.txt from the .in files (PINS_ARGS=--upgrade for new versions)
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install uv
	@cd requirements && for file in run.in test.in lint.in *.in; do \
	  ../$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header $(PINS_ARGS) "$$file" --output-file "$${file%.in}.txt"; \
	done

.PHONY: run
run: $(FOR_RUNNING)  ## Run a job on the embedded engine from start to finish (STOCK=... CHANGES=... for your own files)
	@if [ -z "$(RUN_STOCK)" ] || [ -z "$(RUN_CHANGES)" ]; then \
	  echo "STOCK and CHANGES go together: make run STOCK=stock.csv CHANGES=changes.csv" >&2; exit 2; \
	fi
ifeq ($(STOCK)$(CHANGES),)
	@$(BIN)/python scripts/stock.py sample --items 1000 --changes 1600 --seed 1 --around "$$(date -u +%FT%TZ)" build/sample
endif
	@$(BIN)/python scripts/check_files.py "$(RUN_STOCK)" "$(RUN_CHANGES)"
	@$(BIN)/python scripts/local.py start
	@$(BIN)/python scripts/deploy.py --local --stack $(LOCAL_STACK) --delete --if-exists
	@$(BIN)/python scripts/deploy.py --local --stack $(LOCAL_STACK)
	@$(BIN)/python scripts/stock.py --local load "$(RUN_STOCK)"
	@# The stack is new and has forgotten nothing, so a change may be as old as it likes; and here nothing is at stake.
	@$(BIN)/python scripts/changes.py --local schedule --allow-old --accept-unusual "$(RUN_CHANGES)"
	@$(BIN)/python scripts/job.py --local run || [ $$? -eq 4 ]  # completed with failures, as the sample does
	@# A file through the bucket: a delivery for the next job; of files of one's own the changes again, all of them known.
	@$(BIN)/python scripts/intake.py --local put --wait "$(RUN_DELIVERY)"
	@echo "The engine keeps running, so that you can look around: $(BIN)/python scripts/job.py --local list"
	@echo "End it with: make stop"

.PHONY: stop
stop: $(FOR_RUNNING)  ## Stop the embedded engine; what it holds is gone
	@$(BIN)/python scripts/local.py stop

.PHONY: test
test: $(FOR_TESTS) dynamodb-local taskcat-setup  ## Run the tests that fit into a few minutes
	@$(PYTEST) -m "not slow" $(PYTEST_ARGS)

.PHONY: test-all
test-all: $(FOR_TESTS) dynamodb-local taskcat-setup test-sdk  ## Run every test (MARKS=slow for those that `make test` leaves out)
	@$(PYTEST) $(if $(MARKS),-m "$(MARKS)") $(PYTEST_ARGS)

# The client rests on what botocore does not document. Lambda brings whatever release it likes: so its tests also run with
# the SDK of a year ago and with today's, which has no hash in advance and is looked up every time.
.venv-sdk-old/.ready .venv-sdk-newest/.ready: requirements/sdk.txt | $(FOR_TESTS)
	$(MAKE_VENV_BESIDE)

.PHONY: test-sdk
test-sdk: .venv-sdk-old/.ready .venv-sdk-newest/.ready  ## Test the client with the SDK of a year ago, the pinned and the newest
	@.venv-sdk-newest/bin/python -m pip --quiet --disable-pip-version-check install --upgrade boto3 botocore
	@for python in .venv-sdk-old .venv .venv-sdk-newest; do \
	  echo "With $$($$python/bin/python -c 'import botocore; print("botocore", botocore.__version__)'):"; \
	  $$python/bin/python -m pytest --quiet --noconftest --hypothesis-profile=ci tests/unit/dynamodb/test_client.py \
	    tests/unit/dynamodb/test_botocore_private.py tests/unit/dynamodb/test_values.py; \
	done

.PHONY: faults
faults: $(FOR_TESTS) dynamodb-local  ## Inject faults into thousands of runs and count what is lost or doubled (FAULTS_MINUTES=... SEED=...)
	@PYTHONPATH=src:scripts:. $(BIN)/python -m tests.faults --minutes "$(FAULTS_MINUTES)" \
	  $(if $(SEED),--seed "$(SEED)") $(if $(BREAK),--break "$(BREAK)") $(if $(ENGINE),--engine "$(ENGINE)")

# AWS's own engine as a second opinion. Without Java 17 and Maven its tests are skipped, and say so.
.PHONY: dynamodb-local
dynamodb-local:
	@if [ -e $(DYNAMODB_LOCAL)/.ready ]; then exit 0; fi; \
	if ! command -v javac >/dev/null || ! command -v mvn >/dev/null; then \
	  echo "No JDK or no Maven: the tests on DynamoDB Local will be skipped."; exit 0; \
	fi; \
	echo "Fetching DynamoDB Local ..."; \
	if mvn --batch-mode --quiet --file tests/dynamodb-local/pom.xml dependency:copy-dependencies \
	    -DoutputDirectory="$(CURDIR)/$(DYNAMODB_LOCAL)"; then \
	  touch $(DYNAMODB_LOCAL)/.ready; \
	else \
	  echo "Maven could not fetch it: the tests on DynamoDB Local will be skipped."; \
	fi

# taskcat pins packages that others need in later releases: it lives in a virtual environment of its own. It runs the same
# package as .venv does, and an embedded engine of its own.
.venv-taskcat/.ready: requirements/taskcat.txt | $(FOR_RUNNING)
	$(MAKE_VENV_BESIDE)

# The tests can do without it, saying so.
.PHONY: taskcat-setup
taskcat-setup: $(FOR_RUNNING)
	@$(MAKE) .venv-taskcat/.ready || echo "No .venv-taskcat: the tests with taskcat will be skipped."

.PHONY: taskcat
taskcat: build .venv-taskcat/.ready  ## Deploy into four regions of AWS, run jobs and put a file in each stack, delete (REGIONS=..., TEST=minimal or everything)
	@cd scripts && $(TASKCAT_PYTHON) -m taskcat_runs.run --regions "$(REGIONS)" --tests "$(TEST)"

.PHONY: taskcat-local
taskcat-local: build .venv-taskcat/.ready  ## The same on an embedded engine
	@cd scripts && $(TASKCAT_PYTHON) -m taskcat_runs.run --embedded --regions "$(REGIONS)" --tests "$(TEST)"

.PHONY: bench
bench: $(FOR_TESTS)  ## Compare with how others do it, within 20 minutes (ONLY=comparisons, with commas between them)
	@$(BIN)/python scripts/benchmark.py quick $(if $(ONLY),--only "$(ONLY)")

.PHONY: bench-full
bench-full: $(FOR_TESTS)  ## The same with ten times the items
	@$(BIN)/python scripts/benchmark.py full $(if $(ONLY),--only "$(ONLY)")

.PHONY: bench-docs
bench-docs: $(FOR_TESTS)  ## Put what the benchmarks have measured into docs/benchmarks.md
	@$(BIN)/python scripts/benchmark.py docs

# Only `make lint` needs it, and it takes a minute to install: not part of the set-up.
.venv-checkov/.ready: requirements/checkov.txt | $(FOR_RUNNING)
	$(MAKE_VENV_BESIDE)

.PHONY: lint
lint: $(FOR_LINTING) .venv-checkov/.ready  ## Check template, code, types, layers and YAML
	@$(BIN)/python $(BIN)/cfn-lint
	@.venv-checkov/bin/python .venv-checkov/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@PYTHONPATH=scripts $(BIN)/python $(BIN)/lint-imports
	@$(BIN)/python -m yamllint --strict .

.PHONY: format
format: $(FOR_LINTING)  ## Format the code
	@$(BIN)/python -m ruff check --fix-only --quiet .
	@$(BIN)/python -m ruff format .

.PHONY: build
build: $(FOR_RUNNING)  ## Make the function's package in build/
	@$(BIN)/python scripts/deploy.py --build-only

.PHONY: deploy
deploy: $(FOR_RUNNING)  ## Deploy to AWS as its parameter file says (ENV=dev, staging or prod)
	@$(BIN)/python scripts/deploy.py --environment "$(ENV)"

.PHONY: clean
clean:  ## Stop the embedded engine and remove everything that make has made
	@if [ -e $(FOR_RUNNING) ]; then $(BIN)/python scripts/local.py stop; fi
	@rm -rf .venv .venv-checkov .venv-sdk-old .venv-sdk-newest .venv-taskcat .local build .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find src scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
