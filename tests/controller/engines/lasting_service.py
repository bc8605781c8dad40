"""A stand-in for the service, in a process of its own: the tests kill it and start the next one.

It holds an engine and nodes of one folder, and does what it is told on its standard input, line by
line. What is reported to it goes to standard output, one line an event.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from controller.authority import Authority
from controller.engines.dask import DaskEngine
from controller.nodes.process import ProcessNodes, ProcessNodeType
from planner.events import AnyEvent, AttemptLost, NodeReady, PartFailed, PartFinished
from tests.controller.engines import works
from tests.controller.engines.carrier import work

NODE = "n1"
LOCAL = ProcessNodeType(name="local", slots=2, slots_max=2)


class LastingService:
    """An engine and nodes in one folder, that stay when it goes."""

    def __init__(self, folder: Path, orphan_s: float) -> None:
        self._ended: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        self.engine = DaskEngine(
            self.tell,
            folder=folder / "engine",
            authority=Authority(folder / "tls"),
            lease_s=2.0,
            orphan_s=orphan_s,
        )
        self.nodes = ProcessNodes(
            self.engine.connection, node_types=[LOCAL], folder=folder / "nodes", orphan_s=orphan_s
        )

    def tell(self, event: AnyEvent) -> None:
        """Print an event."""
        with self._lock:
            match event:
                case NodeReady():
                    say("NodeReady", event.node_id, event.workers)
                case PartFinished() | PartFailed() | AttemptLost():
                    self._ended.append((event.part_id, event.attempt))
                    say(type(event).__name__, event.part_id, event.attempt)

    def show(self) -> None:
        """Print what the engine lists."""
        for each in self.engine.attempts():
            say("listed", each.part_id, each.attempt, each.node_id or "-", int(each.ended))
        for node_id, workers in self.engine.workers().items():
            say("joined", node_id, workers)

    def obey(self, order: list[str]) -> None:
        """Do what a line says."""
        match order:
            case ["run", part_id, attempt, path]:
                hold = work(NODE, part_id, works.hold, Path(path), attempt=int(attempt))
                self.engine.submit([hold])
            case ["node"]:
                self.nodes.create(NODE, "local", 2)
            case ["ack"]:
                with self._lock:
                    self.engine.acknowledge(self._ended)
            case ["list"]:
                self.show()
            case ["end"]:
                self.engine.close(end=True)
                self.nodes.close(end=True)
        say("done", *order[:2])


def say(*words: object) -> None:
    """Print a line at once."""
    print(*words, flush=True)


def main(folder: Path, orphan_s: float) -> None:
    """Obey line by line."""
    service = LastingService(folder, orphan_s)
    service.show()
    say("attached")
    for line in sys.stdin:
        service.obey(line.split())


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
