"""What many tests of the controller use: an archive that none of them writes, and the command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.cli import main
from controller.demo.archive import DemoArchive, make_archive
from tests.controller.runs import Ended

Command = Callable[..., Ended]


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> DemoArchive:
    """Return an archive of 200 profiles, with every quirk; it is not to be changed."""
    return make_archive(tmp_path_factory.mktemp("archive"), profiles=200, seed=7)


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Return the command `slackwater`, run in this process: for what ends before any work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["slackwater", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(code=int(ended.value.code), out=out, err=err)

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    yield from mounted(tmp_path / "disk", mb=1)


def mounted(disk: Path, *, mb: int) -> Iterator[Path]:
    """Mount a small file system, and take it away in the end."""
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mb}m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small file system can only be mounted by root with that right")
    yield disk
    subprocess.run(["umount", str(disk)], check=True, timeout=10)
