"""Runs the real git on small repositories in a temporary folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lineage.code_version import CodeVersion, code_version, without_credentials
from lineage.errors import CodeVersionError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
IDENTITY = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *IDENTITY, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "job.py").write_text("print(1)\n", encoding="utf-8")
    git(tmp_path, "add", "job.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "remote", "add", "origin", "https://someone:secret@example.org/scenelake.git")
    return tmp_path


@pytest.mark.parametrize("text", [COMMIT, f"{COMMIT}+dirty", "a" * 64, "unknown"])
def test_text_round_trip(text: str) -> None:
    assert str(CodeVersion.parse(text)) == text
    assert str(code_version(text)) == text


@pytest.mark.parametrize(
    "text", ["v1.0", COMMIT[:12], COMMIT.upper(), f"{COMMIT}-dirty", f"{COMMIT}\n", "+dirty", "unknown+dirty"]
)
def test_a_variable_that_is_not_a_commit_is_refused(text: str) -> None:
    with pytest.raises(CodeVersionError, match="git rev-parse HEAD"):
        code_version(text)


def test_clean_checkout(checkout: Path) -> None:
    found = code_version(None, checkout / "job.py")
    assert found == CodeVersion(git(checkout, "rev-parse", "HEAD"), False, "https://example.org/scenelake.git", "trunk")


def test_changed_and_untracked_files_are_dirty(checkout: Path) -> None:
    (checkout / "new.py").write_text("", encoding="utf-8")
    assert str(code_version(None, checkout / "job.py")) == git(checkout, "rev-parse", "HEAD") + "+dirty"
    (checkout / "new.py").unlink()
    (checkout / "job.py").write_text("print(2)\n", encoding="utf-8")
    assert code_version(None, checkout / "job.py").dirty


def test_detached_head_without_remote(checkout: Path) -> None:
    git(checkout, "checkout", "-q", "--detach")
    git(checkout, "remote", "remove", "origin")
    found = code_version(None, checkout / "job.py")
    assert (found.repo_url, found.branch) == (None, None)
    assert found.commit == git(checkout, "rev-parse", "HEAD")


def test_code_installed_into_another_checkout_is_unknown(checkout: Path, caplog: pytest.LogCaptureFixture) -> None:
    (checkout / ".gitignore").write_text("venv/\n", encoding="utf-8")
    installed = checkout / "venv" / "lineage.py"
    installed.parent.mkdir()
    installed.write_text("", encoding="utf-8")
    assert code_version(None, installed) == CodeVersion(None)
    assert "SCENELAKE_CODE_VERSION" in caplog.text


def test_repository_without_commit_is_unknown(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "job.py").write_text("", encoding="utf-8")
    git(tmp_path, "add", "job.py")
    assert str(code_version(None, tmp_path / "job.py")) == "unknown"


def test_no_git_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert str(code_version(None, checkout / "job.py")) == "unknown"


def test_a_git_that_hangs_is_an_error_and_not_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = checkout / "bin" / "git"
    hanging.parent.mkdir()
    hanging.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{hanging.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("lineage.code_version.GIT_TIMEOUT_S", 0.2)
    with pytest.raises(CodeVersionError, match=r"git ls-files .* did not end within 0\.2 s") as caught:
        code_version(None, checkout / "job.py")
    assert "SCENELAKE_CODE_VERSION" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://u:p@example.org/r.git", "https://example.org/r.git"),
        ("https://token@example.org:8443/r", "https://example.org:8443/r"),
        ("ssh://git@example.org/r.git", "ssh://example.org/r.git"),
        ("git@example.org:o/r.git", "git@example.org:o/r.git"),
        ("https://example.org/a@b", "https://example.org/a@b"),
        ("/srv/r.git", "/srv/r.git"),
    ],
)
def test_credentials_never_leave(url: str, expected: str) -> None:
    assert without_credentials(url) == expected
