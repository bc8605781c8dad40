"""What a slow cloud does to the loop: 50 creations are pending, and every answer takes 30 s.

The provider of machines by Libcloud, kept as in a service, asks an OpenStack as the tests have it,
in a process of its own. All 50 calls are under way at once: settings begin with four. Meanwhile
letters come, and each batch of the loop is timed, as `slackwater_loop_pause_seconds` has it. Before
that the same is measured with no node asked for.

python -m bench.slow_cloud [ANSWER_S [CREATIONS]]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.serving import OFFER
from bench.standing import durable_ms, p99
from controller.clock import now
from controller.nodes.keeper import NodeKeeper
from controller.nodes.libcloud import LibcloudNodes
from controller.nodes.libcloud_dialects import dialect_of
from controller.nodes.libcloud_setup import NoPreparation
from controller.recording import Recorder
from controller.service import Inbox, Service
from controller.store.schema import upgrade
from controller.store.sqlite import SqliteDatabase
from controller.store.store import Store
from planner.commands import AnyCommand, ProvisionNode, RemoveNode, SetWorkers
from planner.events import SettingsChanged
from planner.model import NodeOffer
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings, ScalingSettings
from tests.fleet.canned import canned_cloud, options_at
from tests.fleet.clouds import machine_type, start_of

ANSWER_S = 30.0
CREATIONS = 50

ALONE_S = 15.0
"""Without creations is measured for so long [s]."""

ANSWERS = 2.2
"""Beside creations is measured for so many answers: each call hears two, and asks for more."""

PENDING_S_MAX = 60.0
"""All creations are under way by then [s]."""

OURS = replace(OFFER, node_type="small", slots=1, slots_max=2, nodes_max=1000)
"""What the cloud offers."""


def measure() -> dict[str, float]:
    """Return the figures of 50 creations."""
    return slow_cloud(ANSWER_S, CREATIONS)


class Counting(LibcloudNodes):
    """Nodes of a cloud that tell how many are being created, and how many were."""

    pending = created = 0
    _counted = threading.Lock()

    def create(self, node_id: str, node_type: str, workers: int) -> None:
        """Create a node; see `LibcloudNodes`."""
        self._count(1)
        try:
            super().create(node_id, node_type, workers)
            self.created += 1
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._counted:
            self.pending += more


@dataclass(slots=True, kw_only=True)
class Kept:
    """A service with a keeper of machines, whose loop runs in a thread of its own."""

    inbox: Inbox
    nodes: Counting
    offer: NodeOffer
    pauses_ms: list[float] = field(default_factory=list)

    def ask(self, creations: int) -> None:
        """Ask for so many nodes, and wait until all of those calls are under way."""
        settings = PlannerSettings(
            scaling=ScalingSettings(nodes_min=creations, nodes_max=creations)
        )
        self.inbox.put(SettingsChanged(at=now(), settings=settings))
        give_up_at = time.monotonic() + PENDING_S_MAX
        while self.nodes.pending < creations:
            assert time.monotonic() < give_up_at, f"{self.nodes.pending} creations are under way"
            time.sleep(0.05)

    def measure(self, span_s: float) -> tuple[list[float], list[float]]:
        """Return letters' times and the loop's pauses of so long a time [ms]."""
        self.pauses_ms.clear()
        return durable_ms(self.inbox, span_s, self.offer), list(self.pauses_ms)


def slow_cloud(answer_s: float, creations: int) -> dict[str, float]:
    """Return letters' times and the loop's pauses [ms], alone and beside so many creations."""
    with (
        tempfile.TemporaryDirectory() as name,
        _cloud(answer_s) as url,
        kept_service(Path(name), url, creations) as kept,
    ):
        alone, _ = kept.measure(ALONE_S)
        kept.ask(creations)
        beside, pauses = kept.measure(ANSWERS * answer_s)
        assert kept.nodes.pending == creations, f"{kept.nodes.created} were created meanwhile"
    return {
        "letter_p99_ms_before_creations": p99(alone),
        "letter_p99_ms_with_creations": p99(beside),
        "letter_max_ms_with_creations": max(beside),
        "loop_pause_p99_ms_with_creations": p99(pauses),
        "loop_pause_max_ms_with_creations": max(pauses),
        "creations_pending": creations,
    }


@contextmanager
def kept_service(folder: Path, url: str, creations: int) -> Iterator[Kept]:
    """Run a service on a cloud of which it may ask for so many nodes at once."""
    kind = machine_type("m1.tiny", "debian", nodes_max=2 * creations)
    options = options_at(url, calls_max=creations + 1)
    start = start_of(folder / "nodes", options, kind)
    nodes = Counting(start, dialect_of(options.driver), NoPreparation())
    database = SqliteDatabase(folder / "store.db")
    upgrade(database, "bench")
    store = Store(database, "bench")
    store.take_lease()
    recorder = Recorder(store, "bench", PlannerSettings(), BUILT_IN)
    inbox, over = Inbox(), threading.Event()
    keeper = NodeKeeper(nodes, inbox.put)
    service = Service(recorder.recover().planner, recorder, inbox, Outbox(keeper))
    kept = Kept(inbox=inbox, nodes=nodes, offer=OURS)
    service.board.listen(lambda batch: kept.pauses_ms.append(1e3 * batch.took_s))
    loop = threading.Thread(target=service.run, args=(lambda _: over.is_set(),))
    loop.start()
    try:
        yield kept
    finally:
        over.set()
        loop.join()
        nodes.close(end=False)
        keeper.close()
        database.close()


class Outbox:
    """Has the keeper do what it can; nothing else is commanded here."""

    def __init__(self, keeper: NodeKeeper) -> None:
        self._keeper = keeper

    def carry_out(self, commands: Iterable[AnyCommand]) -> None:
        """Take commands for nodes in."""
        for command in commands:
            if isinstance(command, ProvisionNode | SetWorkers | RemoveNode):
                self._keeper.carry_out(command)


@contextmanager
def _cloud(answer_s: float) -> Iterator[str]:
    """Run a cloud in a process of its own, and return its URL."""
    command = [sys.executable, "-m", "bench.slow_cloud", "cloud", str(answer_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _serve_cloud(answer_s: float) -> None:
    with canned_cloud() as cloud:
        cloud.answer_s = answer_s
        print(cloud.url, flush=True)
        threading.Event().wait()


def main(arguments: list[str]) -> None:
    """Measure with the sizes that are named."""
    if arguments[:1] == ["cloud"]:
        _serve_cloud(float(arguments[1]))
        return
    answer_s = float(arguments[0]) if arguments else ANSWER_S
    creations = int(arguments[1]) if len(arguments) > 1 else CREATIONS
    for name, value in slow_cloud(answer_s, creations).items():
        print(f"{name:40} {value:14,.4g}")


if __name__ == "__main__":
    main(sys.argv[1:])
