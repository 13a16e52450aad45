# Everything here sets up its own virtual environment; python3 with venv, a C compiler and
# make are enough.  PYTHON=python3.12 make test chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(wildcard fastconv/kernels/*.p* fastconv/kernels/*.h)
ARGS ?=

# Peers are measured in an environment of their own.  PyTorch is named apart, since what its
# plain name brings differs: see benchmarks/peers/README.md.
PEERS := .venv-peers
PEERS_TORCH ?= torch==2.13.0
PACKAGE := $(wildcard fastconv/*.py fastconv/*/*.py)

.PHONY: demo test test-slow lint bench peers choices clean help

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.demo  ## train a small network on real digits and show what its memory costs
	$(BIN)/fastconv demo $(ARGS)

test: $(VENV)/.dev lint  ## lint, types and all tests but the slow ones
	$(BIN)/python -m pytest -q $(ARGS)

test-slow: $(VENV)/.dev  ## the tests that take minutes or gigabytes
	$(BIN)/python -m pytest -q -m slow $(ARGS)

lint: $(VENV)/.dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

ASV = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/asv
ASV_CONF := --config benchmarks/asv.conf.json

bench: $(VENV)/.bench  ## time and memory of the newest commit, as pages in benchmarks/.asv/html
	$(ASV) machine --yes $(ASV_CONF) > /dev/null
	$(ASV) run --show-stderr $(ASV_CONF) 'HEAD^!'
	$(ASV) publish $(ASV_CONF)
	@echo "The pages are in benchmarks/.asv/html; to look at them: $(BIN)/asv preview $(ASV_CONF)"

$(VENV)/.bench: $(VENV)/.made
	$(BIN)/python -m pip install --quiet asv==0.6.6 virtualenv
	touch $@

peers: $(PEERS)/.made  ## fastconv beside PyTorch, ONNX Runtime and OpenVINO: docs/peers.md
	cd benchmarks && ../$(PEERS)/bin/python -m peers $(ARGS)

$(PEERS)/.made: $(SOURCES) $(PACKAGE)
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet '$(PEERS_TORCH)' '.[peers]'
	touch $@

choices: $(VENV)/.dev  ## how often the algorithm "auto" is the fastest, on layers of known networks
	FASTCONV_COSTS=$${FASTCONV_COSTS:-shipped} $(BIN)/python benchmarks/choices.py $(ARGS)

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.demo: $(VENV)/.made $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[plot]'
	touch $@

$(VENV)/.dev: $(VENV)/.made $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.demo

clean:  ## remove everything that was made
	rm -rf $(VENV) $(PEERS) benchmarks/.asv build *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f fastconv/kernels/*.so fastconv/kernels/*.c fastconv/kernels/build.json
