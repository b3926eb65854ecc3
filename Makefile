# SPDX-License-Identifier: Apache-2.0
PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# of an index with CPU builds of PyTorch
TORCH_INDEX ?=
MINUTES ?= 60
SEED ?= 1
RUNS ?= 1000000
RECORD ?=
# not among the requirements: it is there for Linux alone
FUZZER := atheris==3.0.0
PACKAGES := golden hw rtl_gen sim perf host
TYPES := build/types/tritforge
PRESETS := tiny edge
MODEL ?= 370M
PRESET ?= edge
PLATFORM ?= ecp5-85f
# what make builds stays in the checkout
export TRITFORGE_CACHE ?= $(CURDIR)/build
# the tests start hundreds of processes, each of which would compile the packages anew
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types verilog cosim synth board bench estimate report soak fuzz docs clean

help:
	@echo "make setup    create $(VENV) with everything needed (PYTHON=$(PYTHON), at least 3.11; TORCH_INDEX=URL of CPU builds)"
	@echo "make demo     generate text with the shipped model on the simulated core"
	@echo "make test     formatting, lint, types and all tests (JOBS=$(JOBS) processes)"
	@echo "make lint     Python lint and types, and strict Verilog lint of the presets $(PRESETS)"
	@echo "make types    check the annotations"
	@echo "make verilog  write the Verilog of the preset edge to build/verilog"
	@echo "make cosim    check the core against the golden integer model"
	@echo "make synth    synthesise, place and route the preset edge (a quarter of an hour)"
	@echo "make board    build the bitstream of a ULX3S in build/board"
	@echo "make bench    measure occupancy, prefill and speed, also at full size (10 GB, twenty minutes)"
	@echo "make estimate tokens/s, watts and joules of one core (MODEL=$(MODEL) PRESET=$(PRESET) PLATFORM=$(PLATFORM))"
	@echo "make report   write build/report.html: every estimate as tables and plots"
	@echo "make soak     draw cores and models and compare every bit, for MINUTES=$(MINUTES) from SEED=$(SEED) on"
	@echo "make fuzz     feed every reader with RUNS=$(RUNS) files or lines that nobody would write"
	@echo "make docs     write the tables, figures and pictures of README and docs from perf/measured; the site to build/site"
	@echo "make clean    remove what was built, but not $(VENV)"

setup: $(READY)

demo: $(READY)
	@$(BIN)/tritforge demo

test: $(READY) types
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations=40

lint: $(READY) types
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@for preset in $(PRESETS); do \
	    $(BIN)/tritforge verilog --preset $$preset -o build/lint/$$preset || exit; \
	    $(BIN)/tritforge check lint build/lint/$$preset/*.f || exit; \
	done

# mypy finds a package by its folders' names, and tritforge/ is none of ours
types: $(READY)
	@mkdir -p $(TYPES)
	@ln -sfn $(PACKAGES:%=../../../%) $(TYPES)
	@$(BIN)/mypy >build/types/found || { sed 's,$(TYPES)/,,' build/types/found; exit 1; }

verilog: $(READY)
	@$(BIN)/tritforge verilog --preset edge -o build/verilog

cosim: $(READY)
	@$(BIN)/tritforge cosim

synth: $(READY)
	@$(BIN)/tritforge synth --preset edge --pnr

board: $(READY)
	@$(BIN)/tritforge board build ulx3s-85f -o build/board

bench: $(READY)
	@$(BIN)/tritforge bench --record
	@$(BIN)/tritforge docs --write

estimate: $(READY)
	@$(BIN)/tritforge estimate $(MODEL) --preset $(PRESET) --platform $(PLATFORM)

report: $(READY)
	@$(BIN)/tritforge report -o build/report.html

soak: $(READY)
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) --seed $(SEED) --jobs $(JOBS) $(RECORD)

fuzz: $(READY)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(INSTALL) $(FUZZER)
	@$(BIN)/python -m tests.fuzz --runs $(RUNS) --seed $(SEED) --jobs $(JOBS) $(RECORD)

docs: $(READY)
	@$(BIN)/tritforge docs --write; faults=$$?; $(BIN)/mkdocs build && exit $$faults
	@echo "Open build/site/index.html, or run $(BIN)/mkdocs serve for pages that follow each change."

clean:
	@rm -rf build *.egg-info .pytest_cache .ruff_cache .hypothesis

# $(call need,shell condition,sentence)
need = @$(1) || { echo "tritforge: $(2)" >&2; exit 2; }

$(READY): pyproject.toml requirements.txt
	$(call need,command -v $(PYTHON) >/dev/null,there is no '$(PYTHON)': install Python 3.11 or newer or say make PYTHON=...)
	$(call need,$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3$(comma) 11))',$(PYTHON) is older than 3.11: say make PYTHON=... with a newer one.)
	$(call need,$(PYTHON) -c 'import venv$(comma) ensurepip' 2>/dev/null,$(PYTHON) cannot create virtual environments: apt-get install python3-venv.)
	$(call need,command -v g++ >/dev/null,there is no C++ compiler: apt-get install g++.)
	@echo "tritforge: installing the Python packages into $(VENV): $(if $(TORCH_INDEX),$(SMALL),$(LARGE))"
	@$(PYTHON) -m venv $(VENV)
	@$(if $(TORCH_INDEX),$(INSTALL) --no-deps --index-url '$(TORCH_INDEX)' "$$(grep '^torch==' requirements.txt)")
	@$(INSTALL) -r requirements.txt
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

comma := ,
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
SMALL := 0.4 GB of downloads and 1.6 GB of disk with the CPU build of PyTorch, about two minutes
LARGE := 2.9 GB of downloads and 5.3 GB of disk, as PyPI's PyTorch for x86-64 brings CUDA; TORCH_INDEX=URL takes a CPU build
