"""The program's plain import names: whoever else claims one is named before anything is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.errors import NameTaken
from controller.ownership import NAMES, check_names, fault_of_names
from tests.controller.runs import COMMAND


def test_here_the_names_are_ours() -> None:
    check_names()
    assert fault_of_names() == ""


@pytest.mark.parametrize("name", [name for name in NAMES if name != "controller"])
@pytest.mark.parametrize("arguments", [("--help",), ("plugins",)])
def test_a_package_that_shadows_ours_is_named(
    name: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong one was run')")
    told = refusal(tmp_path, *arguments)
    assert told == (
        f"error: the import name {name!r} does not belong to slackwater alone: it leads to"
        f" {tmp_path / name}. Install slackwater into an environment of its own\n"
    )


def test_a_module_that_shadows_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "sim.py").touch()
    assert f"it leads to {tmp_path / 'sim.py'}" in refusal(tmp_path, "--help")


def refusal(place: Path, *arguments: str) -> str:
    """Return what the command says where this place comes first on the path."""
    done = subprocess.run(
        [COMMAND, *arguments],
        env=os.environ | {"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_a_distribution_that_installed_one_of_the_names_too_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = tmp_path / "robotics-2.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: robotics\nVersion: 2.0\n")
    (information / "top_level.txt").write_text("planner\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with pytest.raises(NameTaken, match=r"'planner' .* alone: robotics installed it too"):
        check_names()
