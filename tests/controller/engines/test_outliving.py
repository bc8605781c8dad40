"""An engine and nodes outlive their service; the next one finds them, and what they did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from controller.authority import Authority
from controller.engines import launch
from controller.engines.dask import DaskEngine
from controller.engines.scheduler import RECORD, SchedulerRecord, write_record
from controller.errors import EngineError
from controller.nodes.process import ProcessNodes
from controller.nodes.records import STANDING, Standing, read
from controller.ports import AttemptListing
from planner.events import AttemptLost, PartFailed, PartFinished
from tests.controller.engines import works
from tests.controller.engines.carrier import LOCAL, held, until, work
from tests.controller.engines.conftest import ALERT_S
from tests.controller.engines.inbox import Ended, Inbox

LINE_S_MAX = 60.0


class Stand:
    """A service in a process of its own, to whom lines are said and who answers in lines."""

    def __init__(self, folder: Path, orphan_s: float) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.controller.engines.lasting_service"),
                *(str(folder), str(orphan_s)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        self.heard: list[str] = []
        self.hear("attached")

    def say(self, line: str) -> None:
        """Say a line, and wait until it has been obeyed."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self.hear("done " + " ".join(line.split()[:2]))

    def hear(self, line: str) -> None:
        """Wait until a line is heard that begins so."""
        assert self.process.stdout is not None
        give_up_at = time.monotonic() + LINE_S_MAX
        while time.monotonic() < give_up_at:
            said = self.process.stdout.readline().strip()
            assert said or self.process.poll() is None, f"it ended before it said {line}"
            self.heard.append(said)
            if said.startswith(line):
                return
        raise AssertionError(f"never heard {line}")

    def told(self, kind: str) -> list[str]:
        """Return what was heard that begins so."""
        return [each for each in self.heard if each.startswith(kind)]

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


Start = Callable[..., Stand]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start one service after the other on one folder; in the end nothing is left of any."""
    stands: list[Stand] = []

    def start(orphan_s: float = 60.0) -> Stand:
        stands.append(Stand(tmp_path, orphan_s))
        return stands[-1]

    yield start
    for stand in stands:
        if stand.process.poll() is None:
            stand.kill()
    for each in survivors(tmp_path):
        each.kill()


def survivors(folder: Path) -> list[psutil.Process]:
    """Return the processes of engine and nodes that run, whoever started them."""
    record = scheduler(folder)
    marks = [record.process] if record else []
    for path in (folder / "nodes").glob(f"*/{STANDING}"):
        standing = read(path, Standing)
        marks += standing.running() if standing else []
    return [psutil.Process(each.pid) for each in marks if each.runs()]


def scheduler(folder: Path) -> SchedulerRecord | None:
    return launch.recorded(folder / "engine")


def test_a_running_part_survives_its_killed_service_and_finishes_once(
    start: Start, tmp_path: Path
) -> None:
    first = start()
    first.say("node")
    first.hear("NodeReady n1 2")
    paths = {name: tmp_path / name for name in ("p1", "p2")}
    for name, path in paths.items():
        first.say(f"run {name} 1 {path}")
    pids = {name: held(path) for name, path in paths.items()}
    before = scheduler(tmp_path)
    first.kill()
    # One ends while nobody is there to hear of it, the other one after the next service came.
    paths["p1"].unlink()
    second = start()
    assert scheduler(tmp_path) == before
    assert "joined n1 2" in second.heard
    assert "listed p2 1 n1 0" in second.heard
    if not second.told("PartFinished p1 1"):
        second.hear("PartFinished p1 1")
    assert psutil.pid_exists(pids["p2"])
    # What was written to the outbox is sent again, whether it is known or not.
    for name, path in paths.items():
        second.say(f"run {name} 1 {path}")
    paths["p2"].unlink()
    second.hear("PartFinished p2 1")
    assert second.told("PartFinished") == ["PartFinished p1 1", "PartFinished p2 1"]
    assert not paths["p1"].exists(), "it ran again"
    second.say("ack")
    second.say("end")
    assert survivors(tmp_path) == []


def test_nothing_stays_for_ever_without_a_service(start: Start, tmp_path: Path) -> None:
    first = start(orphan_s=5.0)
    first.say("node")
    first.hear("NodeReady n1 2")
    assert len(survivors(tmp_path)) == 4  # Scheduler, supervisor, two workers.
    first.kill()
    until(lambda: survivors(tmp_path) == [])


class Lasting:
    """Engines in one folder, one after the other in this process, and the nodes that stay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "tls")
        self.inbox = Inbox()
        self.engine = self._open()
        self.nodes = ProcessNodes(
            self.engine.connection, node_types=[LOCAL], folder=folder / "nodes", orphan_s=60.0
        )

    def _open(self) -> DaskEngine:
        return DaskEngine(
            self.inbox.put,
            folder=self.folder / "engine",
            authority=self.authority,
            lease_s=ALERT_S,
            on_hung=self._kill,
        )

    def _kill(self, worker_name: str) -> None:
        self.nodes.kill_worker(worker_name)

    def leave(self) -> None:
        """Take the engine away, as far as its scheduler can see."""
        self.engine.close()

    def come_back(self) -> None:
        """Bring the next engine, with an inbox of its own."""
        self.inbox = Inbox()
        self.engine = self._open()

    def node(self, name: str) -> str:
        """Create a node of one worker and wait until that has joined."""
        self.nodes.create(name, "local", 1)
        self.inbox.ready(name, 1)
        return name

    def one_end(self) -> Ended:
        """Return how the next attempt ends, and acknowledge it."""
        (event,) = self.inbox.ended(1)
        self.engine.acknowledge([(event.part_id, event.attempt)])
        return event


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lasting]:
    lasting = Lasting(tmp_path_factory.mktemp("lasting"))
    yield lasting
    lasting.engine.close(end=True)
    lasting.nodes.close(end=True)
    assert survivors(lasting.folder) == []


def test_an_end_is_told_again_until_it_is_acknowledged(lasting: Lasting) -> None:
    node_id = lasting.node("n-ends")
    lasting.engine.submit([work(node_id, "p-bad", works.refuse_now)])
    (event,) = lasting.inbox.ended(1)
    assert isinstance(event, PartFailed)
    for _ in range(2):
        lasting.leave()
        lasting.come_back()
        lasting.engine.submit([work(node_id, "p-bad", works.refuse_now)])
        assert lasting.engine.attempts() == (
            AttemptListing(part_id="p-bad", attempt=1, ended=True),
        )
        (again,) = lasting.inbox.ended(1)
        assert isinstance(again, PartFailed)
        assert again.reason == event.reason
    lasting.engine.acknowledge([("p-bad", 1)])
    lasting.engine.submit([work(node_id, "p-next", works.fragment)])
    assert isinstance(lasting.one_end(), PartFinished)
    until(lambda: lasting.engine.attempts() == ())
    lasting.leave()
    lasting.come_back()
    assert lasting.engine.attempts() == ()
    assert [event for event in lasting.inbox.rest() if isinstance(event, Ended)] == []


def test_parts_that_end_in_any_way_meanwhile_are_told(lasting: Lasting, tmp_path: Path) -> None:
    node_id = lasting.node("n-ways")
    lasting.engine.submit([work(node_id, "p-killed", works.hold, tmp_path / "killed")])
    pid = held(tmp_path / "killed")
    lasting.leave()
    os.kill(pid, signal.SIGKILL)
    lasting.come_back()
    end = lasting.one_end()
    assert isinstance(end, AttemptLost)
    assert end.part_id == "p-killed"
    assert f"worker {node_id}/0 ended" in end.reason
    lasting.inbox.ready(node_id, 1)
    lasting.engine.submit([work(node_id, "p-raises", works.hold_and_raise, tmp_path / "raises")])
    held(tmp_path / "raises")
    lasting.leave()
    (tmp_path / "raises").unlink()
    lasting.come_back()
    end = lasting.one_end()
    assert isinstance(end, PartFailed)
    assert "ValueError" in end.reason
    assert end.retry


def test_a_worker_that_was_stopped_meanwhile_is_lost_and_its_late_result_is_none(
    lasting: Lasting, tmp_path: Path
) -> None:
    node_id = lasting.node("n-stopped")
    path = tmp_path / "stopped"
    lasting.engine.submit([work(node_id, "p1", works.hold, path)])
    pid = held(path)
    lasting.leave()
    os.kill(pid, signal.SIGSTOP)
    lasting.come_back()
    end = lasting.one_end()
    assert isinstance(end, AttemptLost)
    assert "no sign of life" in end.reason
    path.unlink()
    # Whoever took part 1 for hung told its node to kill it; a new one runs the next attempt.
    until(lambda: not psutil.pid_exists(pid))
    lasting.inbox.ready(node_id, 0)
    lasting.inbox.ready(node_id, 1)
    lasting.engine.submit([work(node_id, "p1", works.fragment, attempt=2)])
    end = lasting.one_end()
    assert isinstance(end, PartFinished)
    assert end.attempt == 2


def test_a_scheduler_that_was_killed_meanwhile_is_replaced_where_workers_look_for_it(
    lasting: Lasting, tmp_path: Path
) -> None:
    node_id = lasting.node("n-scheduler")
    lasting.engine.submit([work(node_id, "p1", works.hold, tmp_path / "held")])
    held(tmp_path / "held")
    before = scheduler(lasting.folder)
    assert before is not None
    lasting.leave()
    before.process.send(signal.SIGKILL)
    lasting.come_back()
    after = scheduler(lasting.folder)
    assert after is not None
    assert after.process != before.process
    assert after.address == before.address
    assert lasting.engine.attempts() == ()  # The service sends it again from its outbox.
    if lasting.engine.workers().get(node_id) != 1:
        lasting.inbox.ready(node_id, 1)
    lasting.engine.submit([work(node_id, "p1", works.fragment, attempt=1)])
    assert isinstance(lasting.one_end(), PartFinished)


def test_a_scheduler_of_another_build_is_replaced(lasting: Lasting) -> None:
    node_id = lasting.node("n-build")
    before = scheduler(lasting.folder)
    assert before is not None
    lasting.leave()
    old = msgspec.structs.replace(before, versions=before.versions | {"slackwater": "0.0.1"})
    write_record(lasting.folder / "engine" / RECORD, old)
    lasting.come_back()
    assert not before.process.runs()
    if lasting.engine.workers().get(node_id) != 1:
        lasting.inbox.ready(node_id, 1)
    lasting.engine.submit([work(node_id, "p-build", works.fragment)])
    assert isinstance(lasting.one_end(), PartFinished)


def test_a_stopped_attempt_is_not_told_of_but_keeps_its_worker_busy(
    lasting: Lasting, tmp_path: Path
) -> None:
    node_id = lasting.node("n-stop")
    lasting.engine.submit([work(node_id, "p1", works.hold, tmp_path / "held")])
    held(tmp_path / "held")
    lasting.leave()
    lasting.come_back()
    lasting.engine.stop("p1", 1)
    lasting.engine.submit([work(node_id, "p2", works.fragment)])
    (tmp_path / "held").unlink()
    assert lasting.one_end().part_id == "p2"
    until(lambda: lasting.engine.attempts() == ())


def test_an_engine_that_was_replaced_stops(lasting: Lasting, tmp_path: Path) -> None:
    node_id = lasting.node("n-replaced")
    lasting.engine.submit([work(node_id, "p1", works.hold, tmp_path / "held")])
    held(tmp_path / "held")
    old, old_inbox = lasting.engine, lasting.inbox
    lasting.come_back()
    with pytest.raises(EngineError, match="another service has taken the engine over"):
        until(lambda: old.submit([]))
    (tmp_path / "held").unlink()
    assert isinstance(lasting.one_end(), PartFinished)
    assert [event for event in old_inbox.rest() if isinstance(event, PartFinished)] == []
    old.close()
    lasting.engine.submit([work(node_id, "p2", works.fragment)])
    assert isinstance(lasting.one_end(), PartFinished)
