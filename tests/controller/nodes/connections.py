"""Connections to no engine at all: what the workers of a test's nodes do instead."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from controller.errors import EngineError
from controller.shared_reads import ReadName, shared_reads


class Waiting:
    """Workers run until they are told to end."""

    address = "nowhere"
    preload: tuple[str, ...] = ()

    def of_node(self, node_id: str, folder: Path) -> Waiting:
        return self

    def revoke(self, node_id: str) -> None:
        pass

    def join(self, worker_name: str, folder: Path) -> None:
        (folder / "here").write_text(worker_name)
        signal.pause()


class Issuing(Waiting):
    """Notes for which nodes it was asked for credentials."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def of_node(self, node_id: str, folder: Path) -> Waiting:
        with self._log.open("a") as log:
            log.write(f"{node_id} {folder}\n")
        return self

    def count(self) -> int:
        """Return how often it was asked."""
        return len(self._log.read_text().splitlines())


class Stubborn(Waiting):
    """Workers do not hear when they are told to end."""

    def join(self, worker_name: str, folder: Path) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (folder / "here").touch()
        while True:
            signal.pause()


class ShortLived(Waiting):
    """Workers end at once."""

    def __init__(self, code: int = 3) -> None:
        self._code = code

    def join(self, worker_name: str, folder: Path) -> None:
        os._exit(self._code)


class Unwelcome(Waiting):
    """Workers are refused by the engine."""

    def join(self, worker_name: str, folder: Path) -> None:
        raise EngineError(f"{worker_name} is not welcome")


class Parent(Waiting):
    """Workers have a child of their own, that would outlive them."""

    def join(self, worker_name: str, folder: Path) -> None:
        subprocess.Popen(["sleep", "60"])
        signal.pause()


class Sharing(Waiting):
    """Workers share one read, and note who made it."""

    def join(self, worker_name: str, folder: Path) -> None:
        shared = shared_reads()
        name = ReadName(source="/gdac", number=1, shelf="content", key=("a",))
        maker = shared.get(name, lambda: worker_name) if shared else "nobody"
        (folder.parent / f"told-{folder.name}").write_text(maker)
        signal.pause()
