#!/bin/sh
# Installs .venv from a lock of names, versions and hashes. Needs Python 3.11 to 3.13 and a network; does nothing if up to date.
#   requirements/install.sh demo|dev
#   requirements/install.sh bench      installs the benchmark's contenders into .venv-bench; run dev first
set -eu
cd "$(dirname "$0")/.."
lock="requirements/$1.lock"
stamp=".venv/installed-$1"
[ "$1" != bench ] || stamp=".venv-bench/installed"

fail() { printf '%s\n' "scenelake: $1" >&2; exit 1; }

interpreter() {
    for candidate in ${PYTHON:-} python3.12 python3.11 python3.13 python3 python; do
        if "$candidate" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    fail "needs Python 3.11, 3.12 or 3.13; none found on PATH. Install one, or point to it: make PYTHON=/path/to/python3.12 ..."
}

# The stamp includes the checkout's path: the scripts of a moved .venv still contain the old one.
want="$(cat "$lock" requirements/java.lock requirements/bootstrap.lock pyproject.toml requirements/install.sh | cksum) $PWD"
[ "$(cat "$stamp" 2>/dev/null || true)" = "$want" ] && exit 0

if [ "$1" = bench ]; then
    [ -x .venv/bin/uv ] || fail "needs .venv; first run: requirements/install.sh dev"
    echo "Installing $(grep -c '==' "$lock") locked packages into .venv-bench (about 0.9 GB)"
    .venv/bin/uv venv --quiet --clear --python .venv/bin/python .venv-bench
    .venv/bin/uv pip install --quiet --compile-bytecode --python .venv-bench/bin/python --no-deps --require-hashes -r "$lock"
    printf '%s' "$want" > "$stamp"
    exit 0
fi

python="$(interpreter)"
if [ ! -x .venv/bin/python ]; then
    echo "Creating .venv with $("$python" --version)"
    "$python" -m venv .venv || fail "could not create .venv; on Debian and Ubuntu: apt install python3-venv"
fi
if [ ! -x .venv/bin/uv ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
fi
# Compile bytecode once, here: a process that cannot write it would recompile Airflow and Spark at every start.
install=".venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python"
echo "Installing $(grep -c '==' "$lock") locked packages (about 1.5 GB; a minute or two the first time)"
$install --no-deps --require-hashes -r "$lock"
$install --no-deps --no-build-isolation -e .

java_major() { "$1" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1; }
java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
major="$(command -v "$java" >/dev/null 2>&1 && java_major "$java" || true)"
if [ "${major:-0}" -lt 17 ]; then
    echo "No Java 17 or later found: installing a runtime for Spark into .venv"
    $install --no-deps --require-hashes -r requirements/java.lock
fi
printf '%s' "$want" > "$stamp"
