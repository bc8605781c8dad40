"""A copied data folder is noticed; one that was moved, restored or mounted again is not one."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from controller.errors import NodeError, NodeFault
from controller.nodes.home import HOME, claim_home
from controller.nodes.opening import IDENTITY, service_id


def start(folder: Path) -> str:
    mark = service_id(folder)
    claim_home(folder, folder / IDENTITY)
    return mark


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    start(tmp_path / "data")
    return tmp_path / "data"


def test_a_copy_is_refused_until_it_is_told_which_it_is(home: Path) -> None:
    copy = home.with_name("copy")
    shutil.copytree(home, copy)
    with pytest.raises(NodeError, match=f"copy is a copy of {home}") as caught:
        start(copy)
    assert caught.value.fault is NodeFault.OURS
    (copy / HOME).unlink()
    assert start(copy) == start(home), "the first one runs no more, and its nodes are found"
    (copy / HOME).unlink()
    (copy / IDENTITY).unlink()
    assert start(copy) != start(home), "both run"


def test_what_was_moved_is_no_copy(home: Path) -> None:
    mark = start(home)
    assert start(home.rename(home.with_name("moved"))) == mark


def test_what_was_restored_to_its_place_is_no_copy(home: Path) -> None:
    mark = start(home)
    shutil.copytree(home, home.with_name("backup"))
    shutil.rmtree(home)
    shutil.copytree(home.with_name("backup"), home)
    assert start(home) == mark


def test_a_volume_that_another_container_mounts_is_no_copy(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = start(home)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    assert start(home) == mark


def test_a_home_that_is_not_understood_is_claimed_anew(home: Path) -> None:
    (home / HOME).write_text("?")
    start(home)
    assert str(home) in (home / HOME).read_text()
