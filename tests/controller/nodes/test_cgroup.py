"""CPU quotas: found in either hierarchy, really held by the kernel, and told when not to be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.errors import NodeError
from controller.nodes import cgroup
from controller.nodes.cgroup import GroupHome, find_home


def proc(folder: Path, groups: str, *mounts: str) -> Path:
    """Write a process' folder as /proc has it."""
    (folder / "proc").mkdir()
    (folder / "proc" / "cgroup").write_text(groups)
    lines = [f"3{n} 31 0:28 / {mount}\n" for n, mount in enumerate(mounts)]
    (folder / "proc" / "mountinfo").write_text("".join(lines))
    return folder / "proc"


def unified(folder: Path, **controllers: str) -> Path:
    """Make a v2 hierarchy: for each group, what it hands down to groups below it."""
    for path, handed_down in controllers.items():
        group = folder / "sys" / path.replace("_", "/")
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.subtree_control").write_text(handed_down)
    return folder / "sys"


def test_a_home_in_the_old_hierarchy_is_the_own_group(tmp_path: Path) -> None:
    own = tmp_path / "sys" / "service"
    own.mkdir(parents=True)
    process = proc(
        tmp_path,
        "4:memory:/elsewhere\n2:cpu,cpuacct:/service\n0::/\n",
        f"{tmp_path}/sys rw shared:1 - cgroup cgroup rw,cpu,cpuacct",
        f"{tmp_path}/memory rw - cgroup cgroup rw,memory",
    )
    assert find_home(process) == GroupHome(folder=own, version=1)


def test_a_home_seen_from_a_container_is_the_mount(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()
    process = proc(tmp_path, "2:cpu:/docker/abc\n", f"{tmp_path}/sys rw - cgroup cgroup rw,cpu")
    assert find_home(process) == GroupHome(folder=tmp_path / "sys", version=1)


def test_a_home_in_the_unified_hierarchy_is_the_nearest_that_hands_the_controller_down(
    tmp_path: Path,
) -> None:
    root = unified(tmp_path, user="cpu memory", user_app="cpu", user_app_own="memory")
    process = proc(tmp_path, "0::/user/app/own\n", f"{root} rw - cgroup2 cgroup2 rw,nsdelegate")
    assert find_home(process) == GroupHome(folder=root / "user" / "app", version=2)


def test_a_process_in_its_own_group_finds_the_home_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "sys" / "slackwater-n1").mkdir(parents=True)
    process = proc(tmp_path, "2:cpu:/slackwater-n1\n", f"{tmp_path}/sys rw - cgroup cgroup rw,cpu")
    assert find_home(process, inside="slackwater-n1").folder == tmp_path / "sys"


def test_quotas_are_written_as_each_hierarchy_wants_them(tmp_path: Path) -> None:
    for version in (1, 2):
        GroupHome(folder=tmp_path, version=version).make(f"v{version}", 1.5)
    assert (tmp_path / "v1/cpu.cfs_quota_us").read_text() == "150000"
    assert (tmp_path / "v1/cpu.cfs_period_us").read_text() == "100000"
    assert (tmp_path / "v2/cpu.max").read_text() == "150000 100000"


def test_without_control_groups_it_is_told_why(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="this system has no control groups"):
        find_home(tmp_path)
    root = unified(tmp_path, user="memory")
    process = proc(tmp_path, "0::/user\n", f"{root} rw - cgroup2 cgroup2 rw")
    with pytest.raises(NodeError, match="no control groups with CPU quotas"):
        find_home(process)


def test_a_home_that_is_not_ours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sys").mkdir()
    process = proc(tmp_path, "2:cpu:/\n", f"{tmp_path}/sys rw - cgroup cgroup rw,cpu")
    monkeypatch.setattr(os, "access", lambda *_: False)  # Root may write anywhere.
    with pytest.raises(NodeError, match=f"cannot be made in {tmp_path}/sys"):
        find_home(process)


BUSY = """
import sys, time
from pathlib import Path
from controller.nodes import cgroup
said = cgroup.enter(Path(sys.argv[1]), 0.2)
began, used_s = time.monotonic(), time.process_time()
while time.monotonic() - began < 1.0:
    pass
used_s = time.process_time() - used_s
cgroup.leave(Path(sys.argv[1]))
print(used_s, said)
"""


def test_the_kernel_holds_a_process_to_its_quota(tmp_path: Path) -> None:
    if reason := cgroup.fault():
        pytest.skip(reason)
    command = [sys.executable, "-c", BUSY, str(tmp_path / "n1")]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    used_s, _, said = output.strip().partition(" ")
    assert said == ""
    assert float(used_s) < 0.5
    assert not (find_home().folder / cgroup.group_name(tmp_path / "n1")).exists()
