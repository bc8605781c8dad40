"""A worker archive is the same whenever it is made, and says for which hosts it is."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

from controller.errors import NodeError
from controller.nodes.playbook import playbooks
from controller.nodes.worker_archive import FACTS, pack, read_worker_archive

INSTALLER = playbooks() / "roles" / "worker" / "files" / "install_environment.py"


def packages(folder: Path) -> Path:
    """Make packages as an installer leaves them, of something small that is called slackwater."""
    info = folder / "slackwater-1.2.dist-info"
    for each in (folder / "controller" / "cli", folder / "controller" / "tests", info):
        each.mkdir(parents=True)
    (folder / "controller" / "__init__.py").write_text("")
    (folder / "controller" / "tests" / "test_it.py").write_text("")
    main = "import sys\n\ndef main():\n    print('it works', *sys.argv[1:])\n"
    (folder / "controller" / "cli" / "__init__.py").write_text(main)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slackwater\nVersion: 1.2\n")
    (info / "WHEEL").write_text("Tag: cp311-cp311-manylinux_2_17_x86_64\n")
    (info / "RECORD").write_text(str(folder))
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return pack(packages(tmp_path / "packages"), tmp_path / "dist")


def test_the_same_packages_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    again = pack(packages(tmp_path / "elsewhere" / "packages"), tmp_path / "again")
    assert again.name == archive.name
    assert again.read_bytes() == archive.read_bytes()


def test_it_holds_what_runs_and_says_for_whom(archive: Path) -> None:
    told = read_worker_archive(archive)
    assert told.facts.version == "1.2"
    assert told.facts.python == sysconfig.get_python_version()
    assert told.facts.machine == platform.machine()
    assert told.facts.glibc == "2.17"
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert names[:2] == [FACTS, "bin/slackwater"]
    assert not [name for name in names if "tests" in name or name.endswith("RECORD")]
    assert [name for name in names if name.endswith(".pyc")]


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.tar.gz"
    for content in (b"", b"no archive"):
        other.write_bytes(content)
        with pytest.raises(NodeError, match="make worker-archive"):
            read_worker_archive(other)


def install(archive: Path, sha256: str, target: Path) -> subprocess.CompletedProcess[str]:
    """Run the program that unpacks it on a node."""
    copied = shutil.copy(archive, target.parent)
    command = [sys.executable, str(INSTALLER), str(copied), sha256, str(target)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_node_unpacks_it_and_it_runs(archive: Path, tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.mkdir()
    told = read_worker_archive(archive)
    assert install(archive, told.sha256, node / "environment").returncode == 0
    assert [each.name for each in node.iterdir()] == ["environment"]
    (node / "link").symlink_to(node / "environment" / "bin" / "slackwater")
    ran = subprocess.run([node / "link", "a"], capture_output=True, text=True, check=True)
    assert ran.stdout == "it works a\n"


def test_a_node_refuses_what_came_damaged(archive: Path, tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.mkdir()
    refused = install(archive, "0" * 64, node / "environment")
    assert refused.returncode == 1
    assert "came damaged" in refused.stderr
    assert not (node / "environment").exists()
