# Two commands matter: `make book` builds and serves the book, `make test` checks everything.
# The others: lab, notebooks, bench, bench-gpu, test-gpu, format; zip, pdf and links for publishing.

PYTHON ?= python3
SERVE ?= 1
BIN = .venv/bin
# A worker on every core, so each has one thread; one that is done takes over from the others.
PARALLEL = --numprocesses auto --dist worksteal
# A browser on a busy machine stalls now and then: what fails runs once more, and the summary says so.
AGAIN = --reruns 1 -rR
# Compiling all modules to bytecode would take nearly half of the time. Python compiles those it
# needs, and keeps them even where the machine says not to: a hundred processes import torch here.
unexport PYTHONDONTWRITEBYTECODE
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# Python 3.11 or newer, or a message that says so.
CHECK_PYTHON = import sys; sys.version_info >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed, found {sys.version.split()[0]}. Name one: make PYTHON=python3.12")

.PHONY: book test lab notebooks bench bench-gpu test-gpu format zip pdf links
.DEFAULT_GOAL = book
CHECK_GPU = import sys, torch; torch.cuda.is_available() or sys.exit("No GPU can be used (torch.cuda.is_available() is False): nothing was tested.")

.venv/bin/python:
	@$(PYTHON) -c '$(CHECK_PYTHON)'
	$(PYTHON) -m venv .venv

# What building needs: no torch, no kernels.
.venv/book: pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[book]'
	@touch $@

# Everything.
.venv/all: requirements.txt pyproject.toml | .venv/bin/python
	$(INSTALL) -r requirements.txt
	@touch .venv/book $@

book: .venv/book
	$(BIN)/python _ext/build.py $(if $(filter 0,$(SERVE)),--no-serve)

test: export OMP_NUM_THREADS = 1
test: .venv/all
	$(BIN)/python _ext/build.py --no-serve
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/python -m pytest -p no:nbval $(PARALLEL) $(AGAIN)
	$(BIN)/python -m pytest $(PARALLEL) --dist loadfile --nbval chapters

lab: .venv/all
	$(BIN)/jupyter lab chapters

notebooks: .venv/all
	$(BIN)/python _ext/execute.py

bench: .venv/all
	$(BIN)/python _ext/build.py --no-serve
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/mini_batch.py
	for script in $(filter-out benchmarks/gpu.py benchmarks/mini_batch.py,$(wildcard benchmarks/*.py)); do \
	  $(BIN)/python $$script || exit 1; done

# Both need an NVIDIA GPU, and say so where there is none.
bench-gpu: .venv/all
	$(BIN)/python benchmarks/gpu.py
	$(BIN)/python benchmarks/accuracy.py --kernels

test-gpu: .venv/all
	@$(BIN)/python -c '$(CHECK_GPU)'
	$(BIN)/python -m pytest tests/test_kernels.py
	$(BIN)/python -m pytest --nbval chapters

format: .venv/all
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .
	$(BIN)/ruff check .

# The site with all that it loads from elsewhere, for reading without a network.
zip: .venv/book
	$(BIN)/python _ext/offline.py

# One PDF a language, printed by Chromium from the built site.
pdf: .venv/all
	$(BIN)/python _ext/paper.py

# Links to other sites; those inside the book are checked by `make test`.
links: .venv/book
	$(BIN)/python _ext/build.py --links
