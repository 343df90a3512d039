PYTHON ?= python3
UV ?= uv
ARGS ?=

BIN = .venv/bin
BOOTSTRAP = @$(PYTHON) scripts/bootstrap.py
CODE = crds operator service cli client scripts tests
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

# Without the shell that happens to run it.
COMMAND_REFERENCE = _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION=1 $(BIN)/typer mediabucket_cli.main utils docs \
  --name mediabucket --title "The command" --output

# Images and some shells forbid Python to keep compiled modules: each process would compile its own, for seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo dev test kube-assets test-kube check crds dashboards docs bench bench-operator lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  Options go into ARGS: make dev ARGS="--port 0 -f my.yaml"'

demo: ## Run the whole story on a throw-away platform, checked step by step
	$(BOOTSTRAP) cli
	@$(BIN)/mediabucket demo $(ARGS)

dev: ## Serve a manifest on this machine until Ctrl-C
	$(BOOTSTRAP) cli
	@$(BIN)/mediabucket dev $(ARGS)

test: ## Run the tests on a real store and real databases
	$(BOOTSTRAP) dev
	@$(BIN)/python scripts/document_server.py > /dev/null || [ $$? = 3 ]
	@$(BIN)/pytest -q -n 3 --dist loadscope --no-loadscope-reorder --ignore=tests/kube $(ARGS)

kube-assets: ## Build the Kubernetes API server that tests need, and fetch kinds of others, once
	$(BOOTSTRAP) dev
	@$(BIN)/python scripts/kube_assets.py || [ $$? = 3 ]
	@$(BIN)/python scripts/monitoring_kinds.py > /dev/null || [ $$? = 3 ]

test-kube: kube-assets ## Run the operator's tests on a real Kubernetes API server
	@$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder -o testpaths=tests/kube $(ARGS)

check: ## Check format, lint, types, layers and generated files
	$(BOOTSTRAP) dev
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/ruff check --quiet --no-cache $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-cache
	@generated=$$(mktemp -d) && trap 'rm -r "$$generated"' EXIT \
	  && $(BIN)/python -m mediabucket_api "$$generated" \
	  && for file in "$$generated"/*; do diff -u "crds/$${file##*/}" "$$file" || { echo 'run: make crds'; exit 1; }; done \
	  && $(BIN)/python scripts/dashboards.py "$$generated/chart" \
	  && for file in dashboards alerts; do diff -ru "charts/mediabucket/$$file" "$$generated/chart/$$file" || { echo 'run: make dashboards'; exit 1; }; done \
	  && $(BIN)/python scripts/crd_reference.py "$$generated/docs" \
	  && $(BIN)/python scripts/api_reference.py "$$generated/docs" \
	  && $(COMMAND_REFERENCE) "$$generated/docs/command.md" > /dev/null \
	  && for file in crds api command; do diff -u "docs/$$file.md" "$$generated/docs/$$file.md" || { echo 'run: make docs'; exit 1; }; done \
	  && $(BIN)/python scripts/chart_reference.py "$$generated/docs" \
	  && { diff -u charts/mediabucket/README.md "$$generated/docs/README.md" || { echo 'run: make docs'; exit 1; }; }
	$(BIN)/pytest -q tests/test_layout.py

crds: ## Generate crds/*.yaml and the chart's files from the models
	$(BOOTSTRAP) dev
	$(BIN)/python -m mediabucket_api
	$(BIN)/python scripts/chart.py

dashboards: ## Generate the chart's dashboards and alerts from scripts/monitoring
	$(BOOTSTRAP) dev
	$(BIN)/python scripts/dashboards.py

docs: ## Generate the references: docs/crds.md, docs/api.md, docs/command.md and the chart's README.md
	$(BOOTSTRAP) dev
	$(BIN)/python scripts/crd_reference.py
	$(BIN)/python scripts/api_reference.py
	$(BIN)/python scripts/chart_reference.py
	$(COMMAND_REFERENCE) docs/command.md

bench: ## Measure the hot path beside its peers, then the operator; with ARGS the former only
	$(BOOTSTRAP) dev
	@$(BIN)/python tests/bench/bench.py $(ARGS)
	@$(if $(ARGS),,$(MAKE) --no-print-directory bench-operator)

bench-operator: kube-assets ## Measure the operator on 10, 100 and 1000 MediaBuckets, or as many as ARGS say
	@PYTHONPATH=tests/support:scripts $(BIN)/python tests/bench/operator_bench.py $(ARGS)

lock: ## Pin the newest packages that pyproject.toml allows (needs uv)
	$(COMPILE) --upgrade --extra cli --output-file requirements/cli.txt pyproject.toml
	$(COMPILE) --upgrade --extra dev --constraint requirements/cli.txt --output-file requirements/dev.txt pyproject.toml
	$(COMPILE) --upgrade --extra operator --constraint requirements/dev.txt --output-file requirements/operator.txt pyproject.toml
	$(COMPILE) --upgrade --extra service --constraint requirements/cli.txt --output-file requirements/service.txt pyproject.toml
	printf 'hatchling>=1.27\neditables\n' | \
	  $(COMPILE) --upgrade --no-annotate --constraint requirements/dev.txt --output-file requirements/build.txt -

clean: ## Remove .venv and caches; the data in .mediabucket stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* dist
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +
