"""Which Java Spark gets, and the wrapper around the wheel's runtime."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ops.errors import StackConfigError
from ops.stack import java
from ops.stack.java import ABSENT_MODULE, java_environment, major_version, write_wrapper


def install(home: Path, version: str, status: int = 0) -> Path:
    """A JAVA_HOME whose `java` says this version, or its arguments."""
    binary = home / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(
        f'#!/bin/sh\nif [ "$1" = -version ]; then echo \'openjdk version "{version}" 2026\' >&2; exit {status}; fi\n'
        'for a do echo "<$a>"; done\n'
    )
    binary.chmod(0o755)
    return home


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ('openjdk version "9.0.4"', 9),
        ("command not found", None),
    ],
)
def test_versions(text: str, major: int | None) -> None:
    assert major_version(text) == major


def test_java_home_comes_first_then_the_path(tmp_path: Path) -> None:
    new, old = install(tmp_path / "new", "17.0.1"), install(tmp_path / "old", "1.8.0_402")
    assert java_environment({"JAVA_HOME": str(new), "PATH": str(old / "bin")}, tmp_path / "j") == {"JAVA_HOME": str(new)}
    assert java_environment({"PATH": str(new / "bin")}, tmp_path / "j") == {}
    assert java_environment({"JAVA_HOME": str(old), "PATH": str(new / "bin")}, tmp_path / "j") == {"JAVA_HOME": str(new)}
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize("unfit", [("1.8.0_402", 0), ("16.0.2", 0), ("17.0.1", 1)])
def test_where_none_fits_the_wheel_does(tmp_path: Path, unfit: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    here, runtime = install(tmp_path / "here", *unfit), install(tmp_path / "java-runtime", "21.0.8")
    monkeypatch.setattr(java, "wheel_runtime", lambda: runtime)
    folder = tmp_path / "home with space" / "java"
    assert java_environment({"PATH": f"{here / 'bin'}:/usr/nothing"}, folder) == {"JAVA_HOME": str(folder)}
    assert java.fits(folder / "bin" / "java")


def test_without_any_java_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "wheel_runtime", lambda: None)
    with pytest.raises(StackConfigError, match="no Java 17 or newer") as failure:
        java_environment({"PATH": str(tmp_path)}, tmp_path / "j")
    assert "requirements/java.lock" in str(failure.value.hint)


def test_the_wrapper_drops_one_argument_and_keeps_all_others_as_they_are(tmp_path: Path) -> None:
    runtime = install(tmp_path / "a runtime", "21.0.8")
    write_wrapper(runtime, tmp_path / "j")
    arguments = ["-Xmx1g", ABSENT_MODULE, "a b", "", "*", "--add-modules=java.sql", ABSENT_MODULE, "$HOME"]
    output = subprocess.run([str(tmp_path / "j" / "bin" / "java"), *arguments], capture_output=True, text=True, check=True).stdout
    assert output.splitlines() == ["<-Xmx1g>", "<a b>", "<>", "<*>", "<--add-modules=java.sql>", "<$HOME>"]
