"""The SQL catalog on PostgreSQL passes the cases of every publisher."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.lake.iceberg.publisher_cases import PublisherCases, Setting, SqlSetting

pytest.importorskip("psycopg2", reason="the PostgreSQL driver is not installed (requirements/compose.lock has it)")
PROGRAMS = (Path("/usr/lib/postgresql"), Path("/usr/local/pgsql"), Path("/opt/homebrew/opt/postgresql"))
SERVER_USER = "postgres"  # PostgreSQL refuses to run as root


def program(name: str) -> str:
    found = shutil.which(name) or next((str(path) for root in PROGRAMS for path in sorted(root.glob(f"**/bin/{name}"))), None)
    if found is None:
        pytest.skip(f"no {name} on this machine: install PostgreSQL's server")
    return found


def run(*command: str) -> None:
    user = SERVER_USER if os.geteuid() == 0 else None
    done = subprocess.run(command, user=user, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    """A server that listens on a socket in a folder and on no network address."""
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    folder = Path(tempfile.mkdtemp(prefix="scenelake-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, SERVER_USER)
    data = folder / "data"
    try:
        run(initdb, "-D", str(data), "-U", "catalog", "-A", "trust", "--no-sync")
        run(pg_ctl, "-D", str(data), "-w", "-l", str(folder / "log"), "-o", f"-c listen_addresses='' -k {folder}", "start")
        yield folder
    finally:
        run(pg_ctl, "-D", str(data), "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


class TestPostgresql(PublisherCases):
    @pytest.fixture
    def setting(self, server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
        name = f"lake_{abs(hash(tmp_path)):x}"
        run(program("createdb"), "-h", str(server), "-U", "catalog", name)
        return SqlSetting(f"postgresql+psycopg2://catalog@/{name}?host={server}", tmp_path, monkeypatch)
