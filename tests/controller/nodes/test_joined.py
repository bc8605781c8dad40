"""A node that is given nothing but a join folder holds its workers, and ends as it should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.authority import Authority
from controller.build import VERSION
from controller.engines.connection import CREDENTIALS
from controller.engines.dask import DaskEngine
from controller.errors import NodeError
from controller.nodes.joined import USED
from controller.nodes.joining import JOIN, Join, read_join_folder, write_join_folder
from controller.nodes.records import STANDING, Standing, read
from planner.events import PartFinished
from tests.controller.engines import works
from tests.controller.engines.carrier import held, work
from tests.controller.engines.inbox import WAIT_S_MAX, Inbox
from tests.controller.runs import COMMAND

TOLD_TO_END = "tests.controller.nodes.told_to_end"
"""Whoever imports this is told to end by it."""


@pytest.fixture(scope="module")
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture(scope="module")
def engine(inbox: Inbox) -> Iterator[DaskEngine]:
    engine = DaskEngine(inbox.put)
    yield engine
    engine.close()


@pytest.fixture
def join(engine: DaskEngine, request: pytest.FixtureRequest) -> Join:
    """What a node of the test's own is told."""
    node_id = f"n-{abs(hash(request.node.name))}"
    return Join(address=engine.connection.address, node_id=node_id, workers=1, end_s_max=30.0)


@pytest.fixture
def folder(engine: DaskEngine, join: Join, tmp_path: Path) -> Path:
    """The node's join folder; it cannot be written to, as a mounted Secret."""
    write_join_folder(tmp_path / "join", join, engine.connection)
    return tmp_path / "join"


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start `slackwater worker`; those that a test leaves are ended."""
    started = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [COMMAND, "worker", str(folder), "--state", str(folder.with_name("state"))],
            stderr=subprocess.PIPE,
            # Parts are functions of the tests.
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *filter(None, sys.path)])},
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit code, and what was said."""
    _, said = process.communicate(timeout=WAIT_S_MAX)
    return process.returncode, said


def test_a_node_is_all_that_its_folder_says(
    engine: DaskEngine,
    inbox: Inbox,
    join: Join,
    folder: Path,
    start: Callable[[], subprocess.Popen[str]],
) -> None:
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    process = start()
    inbox.ready(join.node_id, 1)
    write_join_folder(folder, replace(join, workers=2), engine.connection)
    process.send_signal(signal.SIGHUP)
    inbox.ready(join.node_id, 2)
    engine.submit([work(join.node_id, "p1", works.hold, folder.with_name("held"))])
    held(folder.with_name("held"))
    process.send_signal(signal.SIGTERM)
    inbox.ready(join.node_id, 0)  # Nobody takes parts any more, but one is at it.
    folder.with_name("held").unlink()
    (done,) = inbox.ended(1)
    assert isinstance(done, PartFinished)
    assert done.node_id == join.node_id
    code, said = ended(process)
    assert code == 0
    assert "started threads" not in said  # They would not survive a fork.
    assert before.pop(JOIN) != (folder / JOIN).read_bytes()
    assert before == {name: (folder / name).read_bytes() for name in before}
    assert sorted(each.name for each in folder.with_name("state").iterdir()) == [
        "lock",
        STANDING,
        USED,
    ]


def test_a_node_that_is_told_to_end_while_it_comes_up_does_so_at_once(
    inbox: Inbox, folder: Path, start: Callable[[], subprocess.Popen[str]]
) -> None:
    told = json.loads((folder / JOIN).read_text())
    (folder / JOIN).write_text(json.dumps(told | {"preload": [TOLD_TO_END]}))
    code, said = ended(start())
    assert (code, "no workers" in said) == (0, True), said
    assert not folder.with_name("state").joinpath(USED).exists()


def test_no_name_is_used_twice(
    inbox: Inbox, join: Join, folder: Path, start: Callable[[], subprocess.Popen[str]]
) -> None:
    state = folder.with_name("state")
    for number in (0, 1):
        process = start()
        inbox.ready(join.node_id, 1)
        standing = read(state / STANDING, Standing)
        assert standing is not None
        assert list(standing.workers) == [f"{join.node_id}/{number}"]
        assert "another supervisor runs" in ended(start())[1]
        process.kill()
        inbox.ready(join.node_id, 0)


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        ({"version": "0.0.1"}, 78, "Install slackwater 0.0.1"),
        ({"reachable_urls": ["/nowhere/at/all"]}, 78, "does not exist as its workers see it"),
        ({"address": "tls://127.0.0.1:9", "orphan_s": 0.5}, 75, "could not reach"),
        ({"node_id": "../up"}, 78, "names the node"),
        ({"workers": -1}, 78, "is not what a service writes"),
    ],
)
def test_what_cannot_serve_says_so_and_ends(
    folder: Path,
    start: Callable[[], subprocess.Popen[str]],
    change: dict[str, object],
    code: int,
    why: str,
) -> None:
    told = json.loads((folder / JOIN).read_text())
    (folder / JOIN).write_text(json.dumps(told | change))
    process = start()
    found, said = ended(process)
    assert (found, why in said) == (code, True), said


def test_others_may_not_write_what_a_node_runs_by(folder: Path) -> None:
    (folder / JOIN).chmod(0o620)
    with pytest.raises(NodeError, match="others may write"):
        read_join_folder(folder)


def test_a_folder_is_private_and_stays_as_it_is_when_it_is_written_again(
    engine: DaskEngine, join: Join, folder: Path
) -> None:
    def found() -> dict[str, tuple[int, int]]:
        return {
            each.name: (each.stat().st_mode & 0o777, each.stat().st_mtime_ns)
            for each in folder.iterdir()
        }

    before = found()
    assert {name: mode for name, (mode, _) in before.items()} == dict.fromkeys(
        ("authority.pem", CREDENTIALS, JOIN), 0o600
    )
    assert folder.stat().st_mode & 0o777 == 0o700
    write_join_folder(folder, join, engine.connection)
    assert found() == before
    assert read_join_folder(folder) == replace(join, version=VERSION)


def test_credentials_of_another_authority_are_replaced(
    engine: DaskEngine, join: Join, folder: Path, tmp_path: Path
) -> None:
    Authority(tmp_path / "other").credentials(join.node_id, folder / CREDENTIALS)
    foreign = (folder / "authority.pem").read_bytes()
    write_join_folder(folder, join, engine.connection)
    assert (folder / "authority.pem").read_bytes() != foreign
