# Every target makes .venv by itself; `make demo` and `make test` are all that a newcomer needs.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do $$p -c "" 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/ready
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
WORKERS ?= 2

.PHONY: help demo test check lint bench verify clean

help: ## what the targets do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Manikin needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version), at the versions of constraints.txt (some minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $(READY)

demo: $(READY) ## the main job on a real clinical table, into ./manikin-demo (under 3 minutes)
	@$(BIN)/manikin demo --out manikin-demo --force

lint: $(READY) ## style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The checks of lint are tests too (tests/checks), so that no core waits for mypy; files keep their order, for the long ones come early.
test: $(READY) ## everything that must hold: lint, tests, conformance, examples, snippets of the docs (under 12 minutes on 2 cores)
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

check: lint ## the fast part of it (under 1 minute)
	$(BIN)/pytest -x -m "not slow" tests/data tests/clinical tests/codecs tests/release tests/workflow tests/test_public.py

DATA ?= ../shared/data
BENCH := benchmarks/out
bench: $(READY) ## speed and quality beside the peers, each in an environment of its own (hours; DATA=folder of open health data)
	@test -d $(DATA) || { echo "make bench needs the open health tables: make bench DATA=/path/to/them"; exit 2; }
	@echo "Runs Manikin and the peers on the benchmark tables, three seeds each: quality, CPU seconds, rows per second, peak memory."
	@echo "It makes the peers' environments first, and skips jobs whose results are in $(BENCH). The table: benchmarks/LEADERBOARD.md"
	$(BIN)/python benchmarks/tables.py $(DATA) $(BENCH)/tables
	sh benchmarks/peers/setup.sh $(BENCH)/peers
	$(BIN)/python benchmarks/run.py --tables $(BENCH)/tables --peers-env $(BENCH)/peers --out $(BENCH)/results --seeds 0,1,2 \
		--tables-named gbsg2,heart,flchain,diabetes20k,support2 --synthesizers manikin:autoregressive,manikin:forest,mostly,arfpy,sdv:copula
	$(BIN)/python benchmarks/leaderboard.py benchmarks/results/*-2026*.json $(BENCH)/results/results.json

verify: $(READY) ## slow statistical truth: what was known beforehand is recovered
	@echo "Runs verification/: known correlations, margins and conditional distributions must come back from synthetic data."
	$(BIN)/pytest verification
	$(BIN)/pytest tests -m verify

clean: ## remove .venv and caches (not your data, not your runs)
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache src/*.egg-info
