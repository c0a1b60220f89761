"""The import contracts of `pyproject.toml` hold; and they are contracts that can be broken."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from importlinter.application import use_cases
from importlinter.cli import lint_imports  # its import sets the linter's ports up

from tests.unit.architecture.source_tree import ROOT

assert lint_imports


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def lint(config: Path) -> bool:
    return bool(use_cases.lint_imports(config_filename=os.fspath(config), cache_dir=None, no_logo=True, is_debug_mode=True))


def test_packages_import_downwards_only(at_root: None, capsys: pytest.CaptureFixture[str]) -> None:
    kept = lint(ROOT / "pyproject.toml")
    assert kept, capsys.readouterr().out


def test_every_package_has_its_place_among_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [
        contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers" and "containers" not in contract
    ]
    placed = [name.strip() for layer in layers for name in layer.split("|")]
    assert sorted(placed) == sorted(settings["root_packages"])


def test_an_upward_import_is_found(at_root: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "upside_down.toml"
    config.write_text(
        """
        [tool.importlinter]
        root_packages = ["quality", "lake"]
        [[tool.importlinter.contracts]]
        name = "upside down"
        type = "layers"
        layers = ["lake", "quality"]
        """
    )
    assert not lint(config)
    assert "quality.accounting -> lake.tables.schemas" in capsys.readouterr().out
