.DEFAULT_GOAL := help
.PHONY: help demo up down status compose-env compose-demo compose-test compose-down test check unit integration e2e fuzz bench quality-score fault-tour rules lock clean

BIN := .venv/bin
DRIVE ?=
TESTS ?=
ONLY ?=
# Whoever sets it has every process compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
# As Spark gives its Python workers: threads of a linear algebra library would only wait for each other.
export OMP_NUM_THREADS = 1

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Try it
demo: ## Set everything up, send three drives through the pipeline, leave a report (DRIVE=<folder> sends that drive)
	@requirements/install.sh demo
	@$(BIN)/scenelake demo $(if $(DRIVE),--drive "$(DRIVE)")
up: ## Start the local stack
	@requirements/install.sh demo
	@$(BIN)/scenelake up
status: ## Say what is healthy, and where
	@$(BIN)/scenelake status
down: ## Stop the local stack
	@$(BIN)/scenelake down

## The same in containers (Docker Engine 25 or later)
COMPOSE = SCENELAKE_CODE_VERSION=$$(git rev-parse HEAD 2>/dev/null)$$(test -z "$$(git status --porcelain 2>/dev/null)" || echo +dirty) docker compose
compose-env: ## Write .env with random secrets, if there is none
	@python3 deploy/compose/settings.py
compose-demo: compose-env ## Build the image, start every component as a container, send three drives, leave a report in build/compose
	$(COMPOSE) build
	$(COMPOSE) up --wait
	$(COMPOSE) run --rm demo
	@echo "Airflow, Grafana and the others: 'docker compose ps' shows the ports, .env the passwords. End it: make compose-down"
compose-test: ## The tests of the whole stack against containers of their own
	@requirements/install.sh dev
	@requirements/install.sh compose
	SCENELAKE_TEST_STACK=compose $(BIN)/python -m pytest tests/e2e $(TESTS)
compose-down: ## End the containers; volumes stay (with VOLUMES=1 they go, too)
	docker compose --profile '*' down $(if $(VOLUMES),--volumes)

## Develop
test: check unit integration e2e ## Set everything up and run all checks and tests
check: ## Lint, types, import boundaries, declared dependencies, template
	@requirements/install.sh dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/cfn-lint localstack/template.yaml
unit: ## Tests that touch nothing (HYPOTHESIS_PROFILE=explore looks for new examples)
	@requirements/install.sh dev
	$(BIN)/python -m pytest tests/unit --disable-socket --allow-unix-socket -n auto --maxprocesses 8 --dist loadfile $(TESTS)
integration: ## Tests that touch one real thing each
	@requirements/install.sh dev
	$(BIN)/python -m pytest tests/integration $(TESTS)
e2e: ## Tests of the whole stack
	@requirements/install.sh dev
	$(BIN)/python -m pytest tests/e2e $(TESTS)
fuzz: ## Feed every decoder with damaged bytes (TESTS="--seconds 60 --target images")
	@requirements/install.sh dev
	$(BIN)/python -m tests.fuzz.run $(or $(TESTS),--seconds 30)
bench: ## Measure; results in build/bench.json and docs/performance.md (ONLY=<group>,... measures those)
	@requirements/install.sh dev
	@requirements/install.sh bench
	$(BIN)/python bench/run.py $(if $(ONLY),--only "$(ONLY)")
quality-score: ## Precision and recall of every rule, in docs/quality.md and build/quality-score.json (TESTS="--seeds 8 --only CAM")
	@requirements/install.sh dev
	$(BIN)/python -m bench.quality_score.run $(TESTS)
fault-tour: ## One drive of each fault to quarantine and back, with the audit balanced at each point (TESTS="-k blur")
	@requirements/install.sh dev
	SCENELAKE_TEST_EVERY_FAULT=1 $(BIN)/python -m pytest tests/integration/test_every_fault.py $(TESTS)

## Maintain
rules: ## Write quality/rules/RULES.md from the rule catalogue
	$(BIN)/python -m quality.rules.page
lock: ## Resolve the locks anew from pyproject.toml
	requirements/lock.sh
clean: ## Remove the environment, the local stack's state and what was built
	-@$(BIN)/scenelake down 2>/dev/null
	rm -rf .venv .venv-bench .scenelake build
