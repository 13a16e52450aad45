# Everything here sets up its own virtual environment; python3 with venv, a C compiler and
# make are enough.  PYTHON=python3.12 make test chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without --no-compile pip would translate every module of NumPy and Matplotlib to bytecode; Python
# does so with those that are imported. What setuptools says of every editable installation is that
# a folder fastconv where Python is started comes first, as it should here.
EDITABLE := PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip install --quiet \
	--no-compile --editable
SOURCES := pyproject.toml setup.py $(wildcard building/*.py $(addprefix fastconv/kernels/,\
	*.pyx *.pxd *.pyi *.h */*.pyx */*.pxi */*/*.pxi */*.h))
ARGS ?=
# How many processes run the tests; 0 runs them in one, for a debugger.
TESTS ?= auto

# Peers are measured in an environment of their own.  PyTorch is named apart, since what its
# plain name brings differs: see benchmarks/peers/README.md.
PEERS := .venv-peers
PEERS_TORCH ?= torch==2.13.0
# Those that do not have a wheel for every Python; one that lacks it is left out, and named.
PEERS_WHEELS := 'mnn>=3.6' 'ncnn>=1.0.20261020'
PACKAGE := $(wildcard fastconv/*.py fastconv/*/*.py)

# The frozen program is built beside an installed fastconv, in an environment of its own.
FROZEN := .venv-frozen

# Dask, Ray, Spark, joblib and an MPI are half a gigabyte, and stay apart.
ENGINES := .venv-engines

.PHONY: scale scale-page
.PHONY: always demo test test-slow test-resume test-frozen test-engines fuzz sanitize lint format peers choices limits resident drawings test-gallery clean test-aarch64 test-clang test-pythons test-mpi help
.PHONY: bench bench-history bench-history-exact bench-pages bench-compare bench-gate

help:  ## what can be made
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 24

demo: $(VENV)/.demo  ## train a small network on real digits and show what its memory costs
	$(BIN)/fastconv demo $(ARGS)

test: $(VENV)/.dev lint  ## lint, types and all tests but the slow ones
	$(BIN)/python -m pytest -q -n $(TESTS) $(ARGS)

test-slow: $(VENV)/.dev  ## the tests that take minutes or gigabytes
	$(BIN)/python -m pytest -q -m slow $(ARGS)

test-resume: $(VENV)/.dev  ## training killed 200 times, and 50 times with a full disk: it goes on to the same bits
	$(BIN)/python tests/killing.py $(ARGS)

test-mpi: $(VENV)/.mpi  ## training on 1 to 4 ranks over MPI, some of them killed; ARGS='--kills 50'
	$(BIN)/python -m pytest -q -x tests/distributed
	$(BIN)/python tests/mpi_killing.py $(or $(ARGS),--kills 5)

$(VENV)/.mpi: $(VENV)/.dev
	$(EDITABLE) '.[test,mpi]'
	touch $@

test-frozen: $(FROZEN)/.made  ## freeze a program with PyInstaller, and run it
	$(FROZEN)/bin/pyinstaller --noconfirm --log-level WARN --distpath build/frozen \
		--workpath build/frozen/work --specpath build/frozen tests/frozen/program.py
	cd build/frozen/program && env -u PYTHONPATH ./program

test-aarch64: $(VENV)/.dev  ## NEON, cross-built and emulated on a Debian of x86-64; ARGS=--all for every functional test
	$(BIN)/python tests/aarch64.py $(ARGS)

test-clang: $(VENV)/.dev  ## the functional tests on kernels that Clang built; CLANG=clang-19
	$(BIN)/python tests/clang.py $(ARGS)

test-pythons: $(VENV)/.dev  ## equal bits under this Python and two more, and by the stable ABI; ARGS=python3.12
	$(BIN)/python tests/pythons.py $(ARGS)

$(FROZEN)/.made: $(SOURCES) $(PACKAGE)
	test -x $(FROZEN)/bin/python || $(PYTHON) -m venv $(FROZEN)
	$(FROZEN)/bin/python -m pip install --quiet pyinstaller .
	touch $@

test-engines: $(ENGINES)/.made  ## predictions by Dask, Ray, Spark, joblib: the real ones, started and stopped
	FASTCONV_COSTS=shipped $(ENGINES)/bin/python -m pytest -q -W default tests/serving tests/engines $(ARGS)
	@command -v java > /dev/null || test -n "$$JAVA_HOME" || echo "SPARK WAS NOT TESTED: it needs Java 17"

$(ENGINES)/.made: $(SOURCES)
	test -x $(ENGINES)/bin/python || $(PYTHON) -m venv $(ENGINES)
	$(ENGINES)/bin/python -m pip install --quiet --no-compile --editable '.[engines]'
	touch $@

fuzz: $(VENV)/.dev  ## 200000 random calls of every function against guard pages, on each instruction set
	$(BIN)/python tests/fuzz.py $(ARGS)

sanitize: $(VENV)/.dev  ## the tests under the sanitizers of addresses, undefined behaviour and threads
	$(BIN)/python tests/sanitize.py address
	$(BIN)/python tests/sanitize.py thread

lint: $(VENV)/.dev  ## ruff, its formatter, and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet . || { echo "not formatted: make format"; exit 1; }
	$(BIN)/mypy

format: $(VENV)/.dev  ## lay out all Python files as lint wants them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What Sphinx reads is put together first. Pages are written anew every time; what the gallery's
# scripts gave is kept until they change. GALLERY=0 makes their pages without running them.
DOCS := build/docs
GALLERY ?= 1

.PHONY: docs test-site

docs: $(VENV)/.docs  ## the site of the documentation, in build/docs/html; GALLERY=0 for a quick one
	$(BIN)/python docs/site/stage.py $(DOCS)/source
	rm -rf $(DOCS)/html
	GALLERY=$(GALLERY) $(BIN)/sphinx-build -W --keep-going -q -c docs -d $(DOCS)/doctrees \
		$(DOCS)/source $(DOCS)/html
	@echo "The first page is $(DOCS)/html/index.html"

test-site: $(VENV)/.site docs  ## every page of the site in a Chromium that is installed; CHROMIUM=path
	$(BIN)/python -m pytest -q docs/tests $(ARGS)

$(VENV)/.docs: $(VENV)/.demo
	$(EDITABLE) '.[docs]'
	touch $@

$(VENV)/.site: $(VENV)/.docs
	$(EDITABLE) '.[site]'
	touch $@

# asv looks for virtualenv beside its own interpreter.
ASV = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/asv
ASV_CONF := --config benchmarks/asv.conf.json
# Pages are made of what there is, also where a benchmark failed; the failure stays one.
PUBLISH = ; code=$$?; $(ASV) publish $(ASV_CONF) && exit $$code
BENCH ?= .
FACTOR ?= 1.1

bench: $(VENV)/.bench  ## time and memory of the newest commit, as pages in benchmarks/.asv/html
	$(ASV) machine --yes $(ASV_CONF) > /dev/null
	$(ASV) run $(ASV_CONF) --bench '$(BENCH)' 'HEAD^!' $(PUBLISH)
	@echo "The pages are in benchmarks/.asv/html; to look at them: $(BIN)/asv preview $(ASV_CONF)"

bench-history: $(VENV)/.bench  ## the same of several commits: RANGE=HEAD~3..HEAD, ALL, NEW or TAGS
	$(if $(RANGE),,$(error bench-history: RANGE=HEAD~3..HEAD, ALL, NEW or TAGS says of which commits))
	@$(BIN)/python benchmarks/commits.py $@ '$(RANGE)'
	$(ASV) machine --yes $(ASV_CONF) > /dev/null
	$(ASV) run $(ASV_CONF) --bench '$(BENCH)' '$(RANGE)' $(PUBLISH)

bench-history-exact: $(VENV)/.bench  ## bytes alone, equal on every machine; RANGE=ALL
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/exact.py '$(or $(RANGE),ALL)' $(ARGS) \
		$(PUBLISH)

bench-pages: $(VENV)/.bench  ## pages of the results that are there, nothing measured
	$(ASV) machine --yes $(ASV_CONF) > /dev/null
	$(ASV) run $(ASV_CONF) --bench just-discover --environment existing:$(CURDIR)/$(BIN)/python
	$(ASV) publish $(ASV_CONF)

bench-compare: $(VENV)/.bench  ## two commits, A=main B=HEAD; fails if B is FACTOR=1.1 times slower
	$(if $(and $(A),$(B)),,$(error bench-compare: A=commit B=commit says which two))
	@$(BIN)/python benchmarks/commits.py $@ '$(A)' '$(B)'
	$(ASV) machine --yes $(ASV_CONF) > /dev/null
	$(ASV) continuous $(ASV_CONF) --factor $(FACTOR) --split --bench '$(BENCH)' '$(A)' '$(B)'

bench-gate: $(VENV)/.bench  ## fails if the newest commit takes a byte more than its parent
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/gate.py

$(VENV)/.bench: $(VENV)/.made
	$(BIN)/python -m pip install --quiet asv==0.6.6 virtualenv numpy
	touch $@

drawings: $(VENV)/.demo  ## draw the pictures of docs/memory.md and docs/scale.md again
	$(BIN)/python docs/drawings/draw.py $(ARGS)

scale: $(VENV)/.mpi  ## measure two ranks of this machine, and make docs/scale.md and its picture of that
	cd benchmarks && FASTCONV_COSTS=$${FASTCONV_COSTS:-shipped} ../$(BIN)/mpiexec -n 2 \
		../$(BIN)/python -m mpi4py -m scaling.measure $(ARGS)
	$(MAKE) scale-page

scale-page: $(VENV)/.demo  ## the tables and the picture of docs/scale.md, of what was measured last
	cd benchmarks && ../$(BIN)/python -m scaling.page
	$(BIN)/python docs/drawings/draw.py ranks

peers: $(PEERS)/.made  ## fastconv beside PyTorch, ONNX Runtime, OpenVINO, MNN and ncnn: docs/peers.md
	cd benchmarks && ../$(PEERS)/bin/python -m peers $(ARGS)

$(PEERS)/.made: $(SOURCES) $(PACKAGE)
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet '$(PEERS_TORCH)' '.[peers]'
	for wheel in $(PEERS_WHEELS); do $(PEERS)/bin/python -m pip install --quiet \
		--only-binary :all: "$$wheel" || echo "$$wheel is left out: no wheel for this Python"; done
	touch $@

choices: $(VENV)/.dev  ## how often the algorithm "auto" is the fastest, on layers of known networks
	FASTCONV_COSTS=$${FASTCONV_COSTS:-shipped} $(BIN)/python benchmarks/choices.py $(ARGS)

limits: $(VENV)/.dev  ## what a memory limit costs: the table of docs/memory.md
	FASTCONV_COSTS=$${FASTCONV_COSTS:-shipped} $(BIN)/python benchmarks/limits.py

resident: $(VENV)/.dev  ## the resident peak of a process that runs ResNet-50
	FASTCONV_COSTS=$${FASTCONV_COSTS:-shipped} $(BIN)/python benchmarks/resident.py

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.demo: $(VENV)/.made $(VENV)/.settings $(SOURCES)
	@echo "compiling what has changed of the kernels: a minute or two the first time"
	$(EDITABLE) '.[plot]'
	touch $@

# The tests run on every instruction set that the processor has; what is built already stays.
$(VENV)/.dev: $(VENV)/.made $(VENV)/.settings $(SOURCES)
	@echo "compiling what has changed of the kernels: a minute or two the first time"
	FASTCONV_BUILD_ISAS=$${FASTCONV_BUILD_ISAS:-$$($(BIN)/python building/processor.py)} \
		$(EDITABLE) '.[dev]'
	touch $@ $(VENV)/.demo

# The builder's variables: written anew, and so newer than what was built, when they change.
SETTINGS := ^(FASTCONV_(BUILD_[A-Z]*|ABI3|VECTORS|THREADS|SANITIZE)|CC|CFLAGS|CPPFLAGS|LDFLAGS)=
$(VENV)/.settings: $(VENV)/.made always
	@env | grep -E '$(SETTINGS)' | sort > $@.now; cmp -s $@.now $@ || cp $@.now $@; rm $@.now

test-gallery: $(VENV)/.demo  ## run the experiments of docs/gallery, each within a minute of two cores
	$(BIN)/python tests/gallery.py $(ARGS)

clean:  ## remove everything that was made
	rm -rf $(VENV) $(PEERS) $(FROZEN) $(ENGINES) benchmarks/.asv build *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f fastconv/kernels/*.so fastconv/kernels/*.c fastconv/kernels/build.json
