"""Generates or checks the settings of docker-compose.yml: `python3 deploy/compose/settings.py [check]`.

Without an argument: writes `.env` from `.env.example` if there is none, and creates the folder for the demo's report.
With `check`: exits with status 1 if a variable in this process's environment still holds an example value, and names it.
Needs only the standard library.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = "example-"
FERNET_KEY, UID, GID = "example-fernet-key", "example-uid", "example-gid"
IMAGE_USER = 50000  # of the Dockerfile
REPORTS = Path("build") / "compose"


def filled(example: str, uid: int, gid: int) -> str:
    """The text of an `.env` with every example value replaced. For root, the image's user is the owner instead."""
    owner = (uid, gid) if uid else (IMAGE_USER, IMAGE_USER)
    return "".join(_filled_line(line, *owner) for line in example.splitlines(keepends=True))


def examples_in(env: Mapping[str, str]) -> list[str]:
    """Names of the variables that still hold an example value, sorted."""
    return sorted(name for name, value in env.items() if value.startswith(EXAMPLE))


def generate(root: Path) -> bool:
    """Write `root`/.env (mode 0600) unless it exists, and create the report folder. Returns whether it was written."""
    target, uid, gid = root / ".env", os.getuid(), os.getgid()
    reports = root / REPORTS
    reports.mkdir(parents=True, exist_ok=True)
    if uid == 0:
        os.chown(reports, IMAGE_USER, IMAGE_USER)
    if target.exists():
        return False
    text = filled((root / ".env.example").read_text(), uid, gid)
    target.touch(mode=0o600, exist_ok=False)
    target.write_text(text)
    return True


def _filled_line(line: str, uid: int, gid: int) -> str:
    name, equals, value = line.rstrip("\n").partition("=")
    if line.startswith("#") or not equals or not value.startswith(EXAMPLE):
        return line
    return f"{name}={_value(value, uid, gid)}\n"


def _value(example: str, uid: int, gid: int) -> str:
    if example == FERNET_KEY:
        return urlsafe_b64encode(secrets.token_bytes(32)).decode()
    if example in (UID, GID):
        return str(uid if example == UID else gid)
    return secrets.token_urlsafe(48)  # 64 characters: Airflow warns about shorter token secrets


def main(argv: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("generate", "check"), default="generate")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder with .env.example (default: this checkout)")
    arguments = parser.parse_args(argv)
    if arguments.what == "generate":
        if generate(arguments.root):
            print(f"wrote {arguments.root / '.env'} with random secrets")
        return 0
    found = examples_in(os.environ)
    if found:
        print(
            f"refused: example values in {', '.join(found)}; `make compose-env` writes a .env with random values", file=sys.stderr
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
