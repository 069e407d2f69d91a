# One command each, on a fresh clone with nothing but Python 3.11 or later. `make help` lists them.
VENV ?= .venv
WORKERS ?= 2
BIN = $(VENV)/bin
export VENV

.DEFAULT_GOAL := help
.PHONY: demo test test-all lint format docs bench bench-uses pins clean help

demo: ## train on the built-in digits, look at the result, be told what to do next
	@tools/setup.sh
	@"$(BIN)/vaekit" demo $(ARGS)

# Every worker pays for importing torch, so they are few and long-lived, with one thread each.
test: ## the whole suite, the examples in docstrings and the documentation's code included
	@tools/setup.sh test
	@OMP_NUM_THREADS=1 MPLBACKEND=Agg "$(BIN)/pytest" -n $(WORKERS) --dist loadscope -m "not long" $(ARGS)

test-all: ## the long tests too
	@tools/setup.sh test
	@OMP_NUM_THREADS=1 MPLBACKEND=Agg "$(BIN)/pytest" -n $(WORKERS) --dist loadscope $(ARGS)

lint: ## ruff and mypy
	@tools/setup.sh lint
	@"$(BIN)/ruff" check .
	@"$(BIN)/ruff" format --check .
	@"$(BIN)/mypy"

format: ## what ruff can mend by itself
	@tools/setup.sh lint
	@"$(BIN)/ruff" check --fix .
	@"$(BIN)/ruff" format .

docs: ## the documentation, in docs/_build/index.html; a warning is an error
	@tools/setup.sh docs
	@rm -rf docs/_build docs/_api
	@"$(BIN)/sphinx-build" --fail-on-warning --keep-going --quiet docs docs/_build
	@echo "documentation: docs/_build/index.html"

bench: ## training speed on this machine; what is measured and how to read it: benchmarks/README.md
	@tools/setup.sh
	@echo "running: python benchmarks/train_speed.py $(ARGS)   (options: make bench ARGS='--help')"
	@"$(BIN)/python" benchmarks/train_speed.py $(ARGS)

bench-uses: ## every use beside its peers (VAEKIT_DATA=…), in an environment of its own: benchmarks/results/uses.md
	@VENV=.venv-uses tools/setup.sh
	@.venv-uses/bin/python -m pip install --quiet -r benchmarks/peers.txt
	@.venv-uses/bin/python benchmarks/uses.py $(ARGS)

pins: ## resolve constraints.txt anew
	@tools/setup.sh
	@tools/pins.sh

clean: ## remove the environment, caches and everything built; never a training run
	@rm -rf "$(VENV)" docs/_build docs/_api dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests docs benchmarks examples -name __pycache__ -prune -exec rm -rf {} +

help: ## this list
	@sed -n 's/^\([a-z-]*\): ## \(.*\)/make \1@\2/p' Makefile | awk -F@ '{printf "%-12s %s\n", $$1, $$2}'
	@echo
	@echo "Options: ARGS='…' for the program run, WORKERS=2 for the tests, PYTHON=, VENV= and TORCH_INDEX= for the set-up."
