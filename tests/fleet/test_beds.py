"""A bed that does not start is told and skipped; a cloud of one's own is used when asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.openstack import answers
from tests.fleet.own_cloud import KINDS, own_cloud

ROOT = Path(__file__).parents[2]
RUN_S_MAX = 120.0
SHELL = {
    "OS_CLOUD": "egi",
    "OS_AUTH_URL": "https://example.org/v3",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "KUBECONFIG": "/home/me/.kube/config",
}


def run(folder: Path, test: str, **said: str) -> tuple[int, str]:
    """Run tests with beds of a folder, and state of its own; return code and words."""
    environment = os.environ | {
        "SLACKWATER_TESTBED_SCRIPTS": str(folder / "scripts"),
        "SLACKWATER_TESTBEDS": str(folder / "state"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=ROOT,
        env=environment | said,
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_S_MAX,
    )
    return done.returncode, done.stdout + done.stderr


def test_no_bed_is_told_in_the_last_lines(tmp_path: Path) -> None:
    code, told = run(tmp_path, "tests/fleet/test_ec2.py::test_the_contract")
    assert code == 0
    assert "SKIPPED" in told
    assert "no test bed ec2/moto_ec2.py: set SLACKWATER_TESTBED_SCRIPTS" in told


def test_a_bed_that_does_not_start_is_told_with_what_it_said(tmp_path: Path) -> None:
    if answers():
        pytest.skip("the bed is up: it need not start")
    scripts, built = tmp_path / "scripts/openstack", tmp_path / "state/openstack/venv"
    scripts.mkdir(parents=True)
    built.mkdir(parents=True)
    (built / ".complete").touch()
    for name in ("install", "up", "down"):
        path = scripts / f"{name}.sh"
        path.write_text("#!/bin/sh\necho no room on this disc\nexit 1\n")
        path.chmod(0o755)
    test = "tests/fleet/test_openstack.py::test_a_network_that_is_not_there_is_named"
    code, told = run(tmp_path, test)
    assert code == 0
    assert "SKIPPED" in told
    assert "up.sh failed: no room on this disc" in told


def test_a_cloud_of_ones_own_that_lacks_a_word_fails_before_anything_is_made(
    tmp_path: Path,
) -> None:
    said = {"SLACKWATER_TEST_CLOUD": "ec2", "AWS_REGION": "eu-west-1", "AWS_SECRET_ACCESS_KEY": "x"}
    code, told = run(tmp_path, "tests/fleet/test_ec2.py::test_the_contract", **SHELL, **said)
    assert code == 1
    assert "SLACKWATER_TEST_CLOUD=ec2 needs SLACKWATER_TEST_SIZE" in told


def test_what_a_shell_says_of_clouds_asks_for_none() -> None:
    assert [own_cloud(each, SHELL) for each in KINDS] == [None, None, None]


def test_one_kind_is_asked_for_and_others_stay_on_their_beds() -> None:
    asked = SHELL | {"SLACKWATER_TEST_CLOUD": "openstack", "SLACKWATER_TEST_SIZE": "m1.small"}
    assert [each for each in KINDS if own_cloud(each, asked)] == ["openstack"]
    with pytest.raises(pytest.fail.Exception, match="aws is none of openstack, ec2, kubernetes"):
        own_cloud("ec2", {"SLACKWATER_TEST_CLOUD": "aws"})
