"""The version of the running code."""

from __future__ import annotations

import logging
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from lineage.errors import CodeVersionError

VARIABLE = "SCENELAKE_CODE_VERSION"
UNKNOWN = "unknown"
DIRTY_SUFFIX = "+dirty"
GIT_TIMEOUT_S = 20

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # SHA-1 or SHA-256 repository
_WITH_HOST = ("https", "http", "ssh", "git")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """A commit, and whether the tree differed from it. `commit` is None where the version is not known; it is never guessed.

    `repo_url` and `branch` are None where unknown; the URL never holds credentials.
    """

    commit: str | None
    dirty: bool = False
    repo_url: str | None = None
    branch: str | None = None

    def __str__(self) -> str:
        """`<sha>`, `<sha>+dirty`, or `unknown`."""
        if self.commit is None:
            return UNKNOWN
        return self.commit + (DIRTY_SUFFIX if self.dirty else "")

    @classmethod
    def parse(cls, text: str) -> CodeVersion:
        """Read what `str` wrote.

        Raises:
            CodeVersionError: Neither `unknown` nor a commit in full, with or without `+dirty`.
        """
        if text == UNKNOWN:
            return cls(None)
        commit = text.removesuffix(DIRTY_SUFFIX)
        if _COMMIT.fullmatch(commit) is None:
            raise CodeVersionError(
                f"{VARIABLE} is {text[:100]!r}; give the full commit id (git rev-parse HEAD), with {DIRTY_SUFFIX!r} if the tree "
                f"differs from it, or {UNKNOWN!r}"
            )
        return cls(commit, dirty=text.endswith(DIRTY_SUFFIX))


def code_version(stated: str | None = None, tree: Path | None = None) -> CodeVersion:
    """The version that SCENELAKE_CODE_VERSION states, else that of the git checkout that tracks `tree` (default: this file).

    Unknown without either: no git, no commit yet, or code installed outside a checkout (even inside another checkout).

    Raises:
        CodeVersionError: The variable is not a commit id, or git did not answer in time.
    """
    if stated:
        return CodeVersion.parse(stated)
    path = tree or Path(__file__)
    folder = path if path.is_dir() else path.parent
    try:
        _git(folder, "ls-files", "--error-unmatch", "--", str(path.resolve()))
        commit = _git(folder, "rev-parse", "--verify", "HEAD")
        dirty = bool(_git(folder, "status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError) as error:
        log.warning("the code version is unknown; set %s: %s", VARIABLE, _reason(error))
        return CodeVersion(None)
    return CodeVersion(commit, dirty, _repo_url(folder), _branch(folder))


def without_credentials(url: str) -> str:
    """`url` without user name and password; other forms (`git@host:path`, a folder) as they are."""
    parts = urlsplit(url)
    if parts.scheme not in _WITH_HOST or "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _repo_url(folder: Path) -> str | None:
    try:
        return without_credentials(_git(folder, "remote", "get-url", "origin"))
    except (OSError, subprocess.CalledProcessError):
        return None  # a checkout need not have a remote


def _branch(folder: Path) -> str | None:
    try:
        return _git(folder, "symbolic-ref", "--short", "-q", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None  # a detached HEAD, as in CI, is on no branch


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:  # not `unknown`: another step of the attempt may have got an answer
        raise CodeVersionError(
            f"git {arguments[0]} in {folder} did not end within {GIT_TIMEOUT_S} s", hint=f"set {VARIABLE} to the commit"
        ) from error
    return done.stdout.strip()


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return str(error.stderr).strip() or str(error)
    return str(error)
