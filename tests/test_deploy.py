"""What an operator installs is understood by what it is installed into."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parent.parent / "deploy" / "systemd" / "slackwater.service"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return the unit with a command and a user that are there: systemd asks for both."""
    command = Path(sys.executable).with_name("slackwater")
    text = UNIT.read_text().replace("/opt/slackwater/bin/slackwater", str(command))
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("=slackwater\nGroup=slackwater", "=daemon\nGroup=daemon"))
    return unit


def systemd_analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_systemd_understands_the_unit(here: Path) -> None:
    told = systemd_analyze("verify", "--recursive-errors=no", "--man=no", here)
    assert (told.returncode, told.stderr) == (0, "")


def test_systemd_would_tell_of_a_bad_line(here: Path) -> None:
    here.write_text(here.read_text().replace("ProtectSystem=strict", "ProtectSistem=strict"))
    told = systemd_analyze("verify", "--recursive-errors=no", "--man=no", here)
    assert "ProtectSistem" in told.stderr


def test_the_unit_is_hardened(here: Path) -> None:
    told = systemd_analyze("security", "--offline=true", "--threshold=30", here)
    assert told.returncode == 0, told.stdout


def test_systemd_waits_longer_than_the_service_drains() -> None:
    from controller.config.settings import Settings  # noqa: PLC0415
    from controller.nodes import libcloud, slurm  # noqa: PLC0415
    from controller.snapshotting import END_S_MAX as SNAPSHOT_END_S_MAX  # noqa: PLC0415

    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    stop_s = Settings().service.drain_s_max + max(libcloud.END_S_MAX, slurm.END_S_MAX)
    assert unit.getint("Service", "TimeoutStopSec") > stop_s + SNAPSHOT_END_S_MAX
    assert unit["Service"]["KillSignal"] == "SIGTERM"
