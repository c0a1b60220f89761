"""The generated .env: random where the example is one, private, never overwritten; and the check that rejects example values."""

from __future__ import annotations

import base64
import importlib.util
import stat
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = """# about
PASSWORD=example-password
OTHER=example-password
KEY=example-fernet-key
DEMO_UID=example-uid
DEMO_GID=example-gid
PORT=8080
# COMMENTED=example-password
EMPTY=
"""


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / "compose" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


settings = load("settings")
healthy = load("healthy")


def values(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def test_examples_become_random_values_of_their_kind() -> None:
    first, second = (values(settings.filled(EXAMPLE, 1000, 1001)) for _ in range(2))
    assert len({first["PASSWORD"], first["OTHER"], second["PASSWORD"], second["OTHER"]}) == 4
    assert all(len(found["PASSWORD"]) == 64 for found in (first, second))
    assert len(base64.urlsafe_b64decode(first["KEY"])) == 32
    assert (first["DEMO_UID"], first["DEMO_GID"]) == ("1000", "1001")
    assert (first["PORT"], first["EMPTY"]) == ("8080", "")


def test_comments_stay_and_root_is_not_handed_on() -> None:
    text = settings.filled(EXAMPLE, 0, 0)
    assert text.splitlines()[0] == "# about"
    assert "# COMMENTED=example-password" in text
    assert (values(text)["DEMO_UID"], values(text)["DEMO_GID"]) == ("50000", "50000")


def test_a_file_is_private_and_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.os, "getuid", lambda: 1000)
    (tmp_path / ".env.example").write_text(EXAMPLE)
    assert settings.generate(tmp_path)
    target = tmp_path / ".env"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert (tmp_path / "build" / "compose").is_dir()
    before = target.read_text()
    assert settings.examples_in(values(before)) == []
    assert not settings.generate(tmp_path)
    assert target.read_text() == before


def test_examples_are_refused_by_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(settings.os, "environ", values(EXAMPLE))
    assert settings.main(["check"]) == 1
    errors = capsys.readouterr().err
    assert "DEMO_GID, DEMO_UID, KEY, OTHER, PASSWORD;" in errors
    monkeypatch.setattr(settings.os, "environ", values(settings.filled(EXAMPLE, 1000, 1000)))
    assert settings.main(["check"]) == 0


def test_the_example_file_has_nothing_that_could_pass_for_a_secret() -> None:
    found = values((ROOT / ".env.example").read_text())
    for name, value in found.items():
        if "PASSWORD" in name or "SECRET" in name or "KEY" in name:
            assert value.startswith(settings.EXAMPLE), name


def test_health_of_a_file_is_its_age(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    alive.touch()
    assert healthy.problem(["file", str(alive), "30"]) is None
    assert "was last written" in healthy.problem(["file", str(alive), "-1"])
    with pytest.raises(OSError, match="absent"):
        healthy.problem(["file", str(tmp_path / "absent"), "30"])


def test_health_of_an_airflow_component_is_what_airflow_says(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b'{"scheduler": {"status": "healthy"}, "triggerer": {"status": "unhealthy"}}'
    monkeypatch.setattr(healthy, "_get", lambda url: answer)
    assert healthy.problem(["airflow", "scheduler"]) is None
    assert "unhealthy" in healthy.problem(["airflow", "triggerer"])
    assert "reports dag_processor as" in healthy.problem(["airflow", "dag_processor"])
    assert healthy.problem([]) == "invalid arguments: []"
