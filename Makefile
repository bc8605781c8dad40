# `make demo` and `make test` need make and python3-venv, nothing else; the environment is made on first use.

PYTHON ?= python3
VENV := .venv
# uv makes and fills the environment where it is on PATH (set UV= to do without), else venv and pip do.
UV ?= $(shell command -v uv)
ARGS :=
JOBS := 2

BIN := $(VENV)/bin
PRODUCT := planner partitioners sim controller

.PHONY: help env wheel demo test check format bench live-chapter first-part soak worker-archive lint-playbooks FORCE \
    fault-campaign chaos many-pods image-check kill-campaign service-kill-campaign lock clean
.DELETE_ON_ERROR:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 23

demo: $(VENV)/.run ## show it at work, on an archive of its own making (ARGS="--archive DIR" for yours)
	$(BIN)/slackwater demo $(ARGS)

env: $(VENV)/.run ## make the environment: then `. .venv/bin/activate`, and `slackwater --help`

wheel: $(VENV)/.run ## build dist/slackwater-*.whl, which pip installs anywhere
	$(BIN)/hatchling build --target wheel

test: $(VENV)/.dev ## run the tests, in two processes (JOBS=0 for one)
	$(BIN)/pytest --numprocesses=$(JOBS) --dist=loadscope $(ARGS)

check: $(VENV)/.dev lint-playbooks ## format, lint, types and layers, without changing anything
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev ## let ruff format the code and mend what it can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/.dev ## measure what docs/reference/performance.md states
	$(BIN)/python -m bench $(ARGS)

live-chapter: $(VENV)/.dev ## run the chapter's figures 7 to 9 on the OpenStack of the tests (half an hour)
	$(BIN)/python -m bench.chapter_live $(ARGS)

first-part: $(VENV)/.dev ## time nodes from the decision to their first part (ARGS="process openstack slurm")
	$(BIN)/python -m bench.first_part $(ARGS)

soak: $(VENV)/.dev ## watch what a service under load holds (ARGS=120 for two hours; 5 minutes)
	$(BIN)/python -m bench.soak $(ARGS)

kill-campaign: $(VENV)/.dev ## kill workers at 20 seeded random moments; prints docs/reference/campaigns.md's table
	$(BIN)/pytest tests/controller/test_kills.py -m '' -k workers_are_killed --quiet --capture=no $(ARGS)

service-kill-campaign: $(VENV)/.dev ## kill a service at 100 seeded random moments on each store
	$(BIN)/pytest tests/controller/test_service_kills.py -m slow --quiet --capture=no $(ARGS)

chaos: $(VENV)/.dev ## strike hosts, API and service in 20 seeded runs on each bed of tests/fleet
	$(BIN)/pytest tests/fleet/test_chaos.py -m '' --quiet --capture=no $(ARGS)

many-pods: $(VENV)/.dev ## see what 200 pods cost on the control plane of the tests
	$(BIN)/pytest tests/fleet/pods/test_many.py -m slow --quiet --capture=no $(ARGS)

fault-campaign: $(VENV)/.dev ## simulate 1,000 worlds full of faults under the checkers
	$(BIN)/pytest tests/sim/test_simulator.py -m slow --quiet --capture=no $(ARGS)

WORKER_SOURCES = pyproject.toml $(shell find $(PRODUCT) playbooks -name '*.py' -o -name '*.yml' -o -name '*.j2')

# WHEELS="..." adds plug-ins of your own. Hosts must have the Python that the environment has.
worker-archive: dist/.worker-archive ## pack what a worker elsewhere needs into one file in dist/
	@ls dist/slackwater-worker-*.tar.gz

dist/.worker-archive: requirements/node.txt $(WORKER_SOURCES) $(if $(WHEELS),FORCE) | $(VENV)/.dev
	rm -rf build/worker-archive dist/slackwater-worker-*
	$(BIN)/python -m hatchling build --target wheel --directory build/worker-archive/wheel
	$(INSTALL) --target build/worker-archive/packages $(LOCKED) --requirement requirements/node.txt
	$(INSTALL) --target build/worker-archive/packages --no-deps --quiet \
	    build/worker-archive/wheel/*.whl $(WHEELS)
	@$(BIN)/python -m controller.nodes.worker_archive build/worker-archive/packages dist
	@rm -rf build/worker-archive
	@touch $@

FORCE:

lint-playbooks: .venv-ansible/.ansible ## let ansible-lint judge the playbooks by its strictest profile
	cd playbooks && PATH=$(CURDIR)/.venv-ansible/bin:$$PATH ansible-lint --offline --strict

image-check: $(VENV)/.dev ## carry the steps of deploy/Containerfile out in a clean root (root, debootstrap)
	$(BIN)/pytest tests/test_containerfile.py -m slow --quiet --timeout 3600 $(ARGS)

clean: ## remove the environment and everything else that was made here
	rm -rf $(VENV) .venv-ansible build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(PRODUCT) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment: .run for running, .dev on top of it; stamps, so that a second run is instant

# Wheels only: building a source distribution would fetch build tools that no lock pins.
LOCKED := --require-hashes --only-binary :all: --quiet
# The locks hold all it needs. (A test puts a built wheel here instead of the checkout.)
PROJECT := --editable .
UNLOCKED := --no-deps --no-build-isolation --quiet
ifeq ($(UV),)
    MAKE_VENV = $(PYTHON) -m venv $(VENV)
    INSTALL = $(BIN)/python -m pip --disable-pip-version-check install
    VENV_NEEDS = import ensurepip, sys
else
    MAKE_VENV = $(UV) venv --quiet --no-python-downloads --python $(PYTHON) $(VENV)
    INSTALL = $(UV) pip install --python $(BIN)/python
    VENV_NEEDS = import sys
endif

$(BIN)/python:
	@$(PYTHON) -c '$(VENV_NEEDS); sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo 'slackwater needs Python 3.11 or newer with its venv module. On Debian 12, as root:'; \
	    echo '    apt-get update && apt-get install --yes make python3-venv'; \
	    echo 'Elsewhere name an interpreter: make PYTHON=/path/to/python3.11 ...'; \
	    exit 1; } >&2
	$(MAKE_VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(INSTALL) $(LOCKED) --requirement requirements/run.txt
	$(INSTALL) $(UNLOCKED) $(PROJECT)
	@touch $@

# dev.txt holds all of run.txt in the same versions, so its stamp is good for both.
$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(INSTALL) $(LOCKED) --requirement requirements/dev.txt
	$(INSTALL) $(UNLOCKED) $(PROJECT)
	@touch $(VENV)/.run $@

# Ansible is GPL: a program beside ours, in an environment of its own, never imported.
.venv-ansible/.ansible: requirements/ansible.txt
	$(MAKE) --no-print-directory VENV=.venv-ansible .venv-ansible/.tools
	@touch $@

$(VENV)/.tools: requirements/ansible.txt | $(BIN)/python
	$(INSTALL) $(LOCKED) --requirement $<
	@touch $@

# --- the locks: for every platform and Python from 3.11 on, with hashes and without addresses

# `make lock` keeps the pins that still fit; `make lock ARGS=--upgrade` takes the newest releases.
LOCKING = --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
    --quiet --constraint requirements/limits.txt --custom-compile-command 'make lock' $(ARGS)
COMPILE = $(UV) pip compile pyproject.toml $(LOCKING)
COMPILE_GROUP = $(UV) pip compile $(LOCKING) --group

lock: ## pin the dependencies of pyproject.toml in requirements/ (needs uv)
	@test -n '$(UV)' || { echo 'make lock needs uv: python3 -m pip install uv' >&2; exit 1; }
	$(COMPILE) --group build --output-file requirements/run.txt
	$(COMPILE) --group build --group dev --all-extras --constraint requirements/run.txt \
	    --output-file requirements/dev.txt
	$(COMPILE_GROUP) node --constraint requirements/dev.txt --output-file requirements/node.txt
	$(COMPILE_GROUP) ansible --output-file requirements/ansible.txt
	$(COMPILE) --group build --all-extras --constraint requirements/dev.txt \
	    --output-file requirements/image.txt
