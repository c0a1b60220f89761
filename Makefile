.DEFAULT_GOAL := help
.PHONY: help demo up down status compose-env compose-demo compose-test compose-down test check unit integration e2e fuzz bench soak-lake quality-score fault-tour rules configuration lock clean

BIN := .venv/bin
DRIVE ?=
TESTS ?=
ONLY ?=
# If set, every process would recompile everything it imports.
unexport PYTHONDONTWRITEBYTECODE
# As in Spark's Python workers: BLAS threads would only contend with each other.
export OMP_NUM_THREADS = 1

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Try it
demo: ## Set everything up, send three drives through the pipeline, write a report (DRIVE=<folder> sends that drive instead)
	@requirements/install.sh demo
	@$(BIN)/scenelake demo $(if $(DRIVE),--drive "$(DRIVE)")
up: ## Start the local stack
	@requirements/install.sh demo
	@$(BIN)/scenelake up
status: ## Show the stack's health and addresses
	@$(BIN)/scenelake status
down: ## Stop the local stack
	@$(BIN)/scenelake down

## Try it in containers (Docker Engine 25 or later)
COMPOSE = SCENELAKE_CODE_VERSION=$$(git rev-parse HEAD 2>/dev/null)$$(test -z "$$(git status --porcelain 2>/dev/null)" || echo +dirty) docker compose
compose-env: ## Write .env with random secrets, if there is none
	@python3 deploy/compose/settings.py
compose-demo: compose-env ## Build the image, start all containers, send three drives, write a report to build/compose
	$(COMPOSE) build
	$(COMPOSE) up --wait
	$(COMPOSE) run --rm demo
	@echo "Airflow, Grafana and the others: 'docker compose ps' shows the ports, .env has the passwords. To stop: make compose-down"
compose-test: ## Run the end-to-end tests against their own containers
	@requirements/install.sh dev
	@requirements/install.sh compose
	SCENELAKE_TEST_STACK=compose $(BIN)/python -m pytest tests/e2e $(TESTS)
compose-down: ## Stop the containers and keep the volumes (VOLUMES=1 removes them too)
	docker compose --profile '*' down $(if $(VOLUMES),--volumes)

## Develop
test: check unit integration e2e ## Set everything up and run all checks and tests
check: ## Check style, types, import boundaries, declared dependencies and the AWS template
	@requirements/install.sh dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/cfn-lint localstack/template.yaml
unit: ## Run the unit tests, which touch nothing external (HYPOTHESIS_PROFILE=explore searches for new examples)
	@requirements/install.sh dev
	$(BIN)/python -m pytest tests/unit --disable-socket --allow-unix-socket -n auto --maxprocesses 8 --dist worksteal $(TESTS)
integration: ## Run the integration tests, each against one real component
	@requirements/install.sh dev
	$(BIN)/python -m pytest tests/integration -n 2 --dist loadfile $(TESTS)
e2e: ## Run the end-to-end tests
	@requirements/install.sh dev
	$(BIN)/python -m pytest tests/e2e $(TESTS)
fuzz: ## Feed damaged bytes to every decoder (TESTS="--seconds 60 --target images")
	@requirements/install.sh dev
	$(BIN)/python -m tests.fuzz.run $(or $(TESTS),--seconds 30)
bench: ## Run the benchmarks; updates build/bench.json and docs/performance.md (ONLY=<group>,... selects groups)
	@requirements/install.sh dev
	@requirements/install.sh bench
	$(BIN)/python bench/run.py $(if $(ONLY),--only "$(ONLY)")
soak-lake: ## Send 10,000 tiny drives through a lake that is maintained daily; updates docs/performance.md (TESTS="--drives 672")
	@requirements/install.sh dev
	$(BIN)/python -m bench.soak_lake.run $(TESTS)
quality-score: ## Measure precision and recall of every rule; updates docs/quality.md and build/quality-score.json (TESTS="--seeds 8 --only CAM")
	@requirements/install.sh dev
	$(BIN)/python -m bench.quality_score.run $(TESTS)
fault-tour: ## Send one drive per fault to quarantine and back, auditing at each step (TESTS="-k blur")
	@requirements/install.sh dev
	SCENELAKE_TEST_EVERY_FAULT=1 $(BIN)/python -m pytest tests/integration/test_every_fault.py $(TESTS)

## Maintain
rules: ## Generate quality/rules/RULES.md from the rule catalogue
	$(BIN)/python -m quality.rules.page
configuration: ## Generate docs/configuration.md from the settings models
	PYTHONPATH=.:dags $(BIN)/python -m ops.configuration
lock: ## Regenerate the lock files from pyproject.toml
	requirements/lock.sh
clean: ## Remove the environment, the local stack's state and build outputs
	-@$(BIN)/scenelake down 2>/dev/null
	rm -rf .venv .venv-bench .scenelake build
